"""Stages that train codebooks and HDR networks."""
