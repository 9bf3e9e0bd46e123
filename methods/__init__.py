"""One file per method; the registry finds them."""
