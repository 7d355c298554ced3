"""Files on disk: written whole or not at all, known by their digest, cached in one folder."""

import errno
import hashlib
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

# What the system says of a disk, a quota or a limit that lets nothing more be written.
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
_UNWRITABLE = (*_FULL, errno.EROFS, errno.EACCES)
_HOST = socket.gethostname()
_BESIDE = re.compile(rf"\.{re.escape(_HOST)}-(\d+)\.writing(\.[^.]*)?$")


# Files that are being written, for who ends the process in the middle of it.
_unfinished: set[Path] = set()


class UnwritableError(OSError):
    """A file could not be written; the message names it and says why."""


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """Path to write to, which takes the place of `path` when the block ends without an error.

    It lies beside `path`, with the same suffix, and carries host and number of the process, so that
    several may write the same file. The folder is made if it is missing. An error leaves no file
    behind and `path` as it was; what a killed process left in the folder goes, too.

    Raises:
        UnwritableError: The disk is full, or the file may not be written.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _sweep(path.parent.resolve())
    beside = path.with_name(f"{path.stem}.{_HOST}-{os.getpid()}.writing{path.suffix}")
    _unfinished.add(beside)
    try:
        beside.touch()
        usual = beside.stat().st_mode
        yield beside
        beside.chmod(usual)  # safetensors makes files that nobody else may read
        os.replace(beside, path)
    except Exception as error:
        if reason := unwritable_reason(error, beside):
            left = "is as it was" if path.exists() else "was not made"
            raise UnwritableError(
                f"{path}: cannot be written ({reason}); the file {left}"
            ) from error
        raise
    finally:
        beside.unlink(missing_ok=True)
        _unfinished.discard(beside)


def remove_unfinished() -> None:
    """Remove what `atomic_write` is writing in this process, which is about to end."""
    for beside in tuple(_unfinished):
        beside.unlink(missing_ok=True)


def unwritable_reason(error: BaseException, written: Path) -> str | None:
    """Why a file could not be written, if that is what an error is about.

    Libraries that write in C++ or Rust raise errors of their own, with the system's words in them.

    Args:
        error: With those that it arose from.
        written: The file.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, UnwritableError):
            return None  # of another file, which it names
        of_another = getattr(cause, "filename", None) not in (None, str(written), written)
        if isinstance(cause, OSError) and cause.errno in _UNWRITABLE and not of_another:
            return os.strerror(cause.errno)
        for number in _FULL:
            if os.strerror(number) in str(cause) and not of_another:
                return os.strerror(number)
        if re.fullmatch(r"\d+ requested and \d+ written", str(cause)):  # numpy
            return "no room is left"
        cause = cause.__cause__ or cause.__context__
    return None


@cache  # once for a folder: it costs a look at all names in it
def _sweep(folder: Path) -> None:
    """Remove what killed processes of this host were writing in a folder."""
    for name in os.listdir(folder):
        found = _BESIDE.search(name)
        if found and not _lives(int(found[1])):
            (folder / name).unlink(missing_ok=True)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # somebody else's
        return True
    return True


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in UTF-8, whole or not at all."""
    with atomic_write(path) as beside:
        beside.write_text(text, encoding="utf-8")


def file_sha256(path: str | Path) -> str:
    """Digest of a file's bytes, in hexadecimal."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_dir() -> Path:
    """Folder of what can be made again: `$CLIPNAV_CACHE`, else ~/.cache/clipnav."""
    return Path(os.environ.get("CLIPNAV_CACHE") or Path.home() / ".cache" / "clipnav")
