"""The nouns of the benchmark and what every layer shares. Nothing here imports torch."""
