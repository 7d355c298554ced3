"""Type and helpers of samples.

A sample is a file to damage and a function that reads it. Each public function that returns one
writes its files into a folder; its name is that of the reader.
"""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Sample = tuple[Path, Callable[[], object]]

KEYS = [f"attic_a{i}" for i in range(3)]


def write_json(path: Path, content: Any, packed: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = json.dumps(content).encode()
    path.write_bytes(gzip.compress(raw, mtime=0) if packed else raw)
    return path


def write_lines(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path
