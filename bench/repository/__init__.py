"""Answers of git and DVC about the project."""
