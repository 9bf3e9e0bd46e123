"""Metrics of other packages: the release that a protocol states, and no other."""

from importlib.metadata import PackageNotFoundError, version

from bench.core.errors import UsageError


def need_release(package: str, release: str) -> None:
    """Raise UsageError unless this release of a package is installed: another may give other numbers."""
    try:
        found = version(package)
    except PackageNotFoundError:
        found = "none"
    if found != release:
        raise UsageError(
            f"the protocol states {package} {release}, but here is {found}; try: pip install {package}=={release}."
        )
