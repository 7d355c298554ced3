"""Appending to a file completely or not at all."""

import os
from pathlib import Path

from clipnav.storage import UnwritableError, unwritable_reason


def append_bytes(path: Path, data: bytes) -> None:
    """Append to a file, or restore it after an error."""
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        try:
            remaining = memoryview(data)
            while remaining:
                remaining = remaining[file.write(remaining) :]
        except OSError as error:
            os.ftruncate(file.fileno(), size)
            reason = unwritable_reason(error, path)
            if reason is None:
                raise
            raise UnwritableError(f"{path}: cannot be written ({reason})") from error
