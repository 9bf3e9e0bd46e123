"""Layouts of the field's datasets on disk, and their readers."""
