"""What metrics raise; the wheel of the metrics alone has a module of this name that needs nothing else of `bench`."""

from bench.core.errors import UsageError, unknown_name

__all__ = ["UsageError", "unknown_name"]
