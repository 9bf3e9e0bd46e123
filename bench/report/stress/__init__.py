"""The stress test: curves of each method over each knob, and where it breaks."""
