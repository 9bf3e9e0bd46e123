"""Sen et al. 2012: patch-based reconstruction, written from the published description (see `method.py`)."""
