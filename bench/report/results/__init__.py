"""Score rows and what they give over seeds and scenes."""
