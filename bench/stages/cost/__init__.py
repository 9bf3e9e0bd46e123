"""What trainings and predictions take in time and memory."""
