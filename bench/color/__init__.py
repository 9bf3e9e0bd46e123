"""Exposure, transfer functions and tone mapping."""
