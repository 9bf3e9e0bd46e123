"""A table as data, and how it is written."""
