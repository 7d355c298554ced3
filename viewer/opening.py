"""What the user names on the command line: runs, traces or submission files."""

import gzip
import json
from pathlib import Path
from typing import Literal

from storage.runs.settings import CONFIG
from viewer.trace.format import FORMAT

Kind = Literal["run", "traces", "submission"]

_HEAD = 4096  # bytes that tell what a file is


def kind_of(path: Path) -> Kind:
    """Tell what a file or folder is.

    Raises:
        FileNotFoundError: It does not exist.
    """
    if path.is_dir():
        return "run" if (path / CONFIG).is_file() else "traces"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file or folder; name a run, a folder of traces or a submission file"
        )
    with path.open("rb") as file:
        packed = file.peek(2)[:2] == b"\x1f\x8b"
    with gzip.open(path) if packed else path.open("rb") as file:
        head = file.read(_HEAD)
    return "traces" if json.dumps(FORMAT).encode() in head else "submission"
