"""Speed and memory of predictions."""
