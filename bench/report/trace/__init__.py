"""Where each number of a report comes from."""
