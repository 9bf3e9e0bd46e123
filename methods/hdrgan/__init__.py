"""HDR-GAN: generator, spectral norm, and its adversarial training."""
