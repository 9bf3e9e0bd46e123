"""The overlapped codebook (OLC) method: stage 1 (VQGAN) and stage 2 (HDR network)."""
