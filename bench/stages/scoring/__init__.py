"""Stages that predict, score and gather scores."""
