"""Seeds: one parameter, from which every random stream is derived by hashing names."""

import hashlib

import numpy as np


def derive(seed: int, *names: object) -> int:
    """Derive the seed of one random stream, a 63-bit integer, from the run's seed and the stream's names.

    Equal arguments give equal seeds on every machine; streams with different names are independent.
    """
    text = "/".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(seed: int, *names: object) -> np.random.Generator:
    """Return NumPy's generator for the stream that `derive` names."""
    return np.random.default_rng(derive(seed, *names))
