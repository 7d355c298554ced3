"""Files on disk: written whole or not at all, known by their digest, cached in one folder."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(path: str | Path) -> Iterator[Path]:
    """Path to write to, which takes the place of `path` when the block ends without an error.

    It lies beside `path`, with the same suffix, and carries the number of the process, so that
    several may write the same file. The folder is made if it is missing. An error leaves no file
    behind and `path` as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.stem}.{os.getpid()}.writing{path.suffix}")
    try:
        beside.touch()
        usual = beside.stat().st_mode
        yield beside
        beside.chmod(usual)  # safetensors makes files that nobody else may read
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with written_whole(path) as beside:
        beside.write_text(text, encoding="utf-8")


def file_sha256(path: str | Path) -> str:
    """Digest of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_dir() -> Path:
    """Folder of what can be made again: `$CLIPNAV_CACHE`, else ~/.cache/clipnav."""
    return Path(os.environ.get("CLIPNAV_CACHE") or Path.home() / ".cache" / "clipnav")
