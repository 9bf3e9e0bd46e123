"""Stages that look into trained codebooks and networks."""
