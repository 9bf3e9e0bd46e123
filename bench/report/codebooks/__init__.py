"""What codebooks hold and how they are used."""
