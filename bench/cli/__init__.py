"""The command line, in parts. Nothing here imports NumPy, torch or DVC before a command needs them."""
