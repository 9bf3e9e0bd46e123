"""SAFNet (Kong et al., ECCV 2024): selective alignment at half resolution, an explicit merge, a refinement."""
