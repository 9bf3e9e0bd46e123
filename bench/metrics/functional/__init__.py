"""Metrics as functions of images and plain settings: needs torch and NumPy, and nothing else of `bench`.

The same files are the wheel `hdr_metrics` (see `packaging/`), so imports here, in `hdrvdp2` and in `hdrvdp3` are
relative. Nothing imports torch before it is needed: sections of protocols are read without it.
"""
