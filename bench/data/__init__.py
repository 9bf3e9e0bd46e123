"""Making, reading and cutting scenes."""
