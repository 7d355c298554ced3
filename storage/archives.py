"""Unpacking zip archives that strangers made."""

import errno
import lzma
import os
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from storage.gzip_files import ALWAYS_ALLOWED, MOST_EXPANSION
from storage.messages import shortened

# What damaged archives make zipfile and its decompressors raise.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    LookupError,
    OverflowError,
    struct.error,
)


class UntrustedArchiveError(ValueError):
    """An archive is whole, but should not be unpacked; the message names the archive and why."""


def unpack_zip(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into a folder that does not exist yet, whole or not at all.

    Raises:
        FileExistsError: The folder is there already.
        ValueError: The archive is damaged or locked, or one of its members would leave the folder,
            is a link, or does not fit on the disk, or they expand to more than `MOST_EXPANSION`
            times the archive. Nothing of it is left.
    """
    if folder.exists():
        raise FileExistsError(f"{folder}: is there already; move it away to unpack {archive} anew")
    beside = folder.with_name(f"{folder.name}.{os.getpid()}.unpacking")
    try:
        with zipfile.ZipFile(archive) as content:
            _check_members(archive, content, beside.parent)
            content.extractall(beside)
        beside.rename(folder)
    except UntrustedArchiveError:
        raise
    except (OSError, *_DAMAGE) as error:
        # Other numbers are errors of the disk; bz2 gives none, and a place that is not in the
        # archive gives EINVAL.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise ValueError(
            f"{archive}: cannot be unpacked ({shortened(str(error), 200)}); move it away and fetch "
            "it again"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _check_members(archive: Path, content: zipfile.ZipFile, disk: Path) -> None:
    for member in content.infolist():
        windows = PureWindowsPath(member.filename)
        inside = not windows.drive and not windows.root and ".." not in windows.parts
        if not inside or PurePosixPath(member.filename).is_absolute():
            raise UntrustedArchiveError(
                f"{archive}: member {member.filename!r} would be written outside the folder; "
                "do not trust this archive"
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise UntrustedArchiveError(
                f"{archive}: member {member.filename!r} is a link; do not trust this archive"
            )
    size, free = sum(m.file_size for m in content.infolist()), shutil.disk_usage(disk).free
    most = max(ALWAYS_ALLOWED, MOST_EXPANSION * archive.stat().st_size)
    if size > most:
        raise UntrustedArchiveError(
            f"{archive}: would expand to {size:,} bytes, but {most:,} are the most for an archive "
            f"of its size ({MOST_EXPANSION} times as many); do not trust this archive"
        )
    if size > free:
        raise UntrustedArchiveError(
            f"{archive}: holds {size:,} bytes, but the disk has {free:,}; make room and try again"
        )
