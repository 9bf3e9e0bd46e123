"""Stages that bring data here and prepare it."""
