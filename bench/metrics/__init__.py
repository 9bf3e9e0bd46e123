"""Metrics, and the protocols that fix how they are applied. Nothing here opens an image file."""
