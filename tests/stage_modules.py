"""Where the module of a stage's verb lies."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def stage_module(verb):
    """Return the dotted name of the one module below bench/stages that is called like the verb."""
    (path,) = (ROOT / "bench" / "stages").rglob(f"{verb}.py")
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)
