"""Where someone's results stand among a report's rows."""
