"""Verbs around the pipeline: rehearsal, replay, tiles, data report."""
