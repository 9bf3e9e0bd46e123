"""How the field's data sets lie on disk, and their readers."""
