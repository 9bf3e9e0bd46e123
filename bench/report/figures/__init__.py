"""Figures of images, curves and scores."""
