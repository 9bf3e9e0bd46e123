"""A reproducible benchmark of multi-exposure HDR imaging."""

__version__ = "0.1.0"
