"""Time and memory of trainings and predictions."""
