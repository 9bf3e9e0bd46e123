"""What papers and users printed: every number with its source, how far they spread, and why as far as known."""
