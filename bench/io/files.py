"""Text and JSON files that are either complete or absent."""

import json
from pathlib import Path
from typing import Any

from bench.io.atomic import replacing


def write_text_atomic(path: Path, text: str) -> None:
    """Write UTF-8 text with its line ends as they are; OSError (disk full, no permission) becomes BenchError."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_bytes_atomic(path: Path, content: bytes) -> None:
    """Write bytes; OSError becomes BenchError."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_json_atomic(path: Path, content: Any) -> None:
    """Write JSON with sorted keys, two spaces of indent and a final newline, so that diffs are readable.

    NaN and infinity aren't JSON and raise ValueError: write None (null) for a missing value. OSError becomes
    BenchError.
    """
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    write_text_atomic(path, text + "\n")
