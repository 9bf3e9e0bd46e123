"""The same predictions under several protocols."""
