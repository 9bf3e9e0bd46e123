"""Verbs for users' own pictures, predictions and weights."""
