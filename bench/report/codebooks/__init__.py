"""Codebooks: tables, figures and sentences of what `inspect` found."""
