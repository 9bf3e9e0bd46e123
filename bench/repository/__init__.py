"""What git and DVC know of the project."""
