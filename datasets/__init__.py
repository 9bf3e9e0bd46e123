"""One file per dataset; the registry finds them."""
