"""Unpack untrusted zip archives."""

import errno
import lzma
import shutil
import stat
import struct
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath

from clipnav.storage import remove_abandoned, temporary_path
from clipnav.storage.errors import UserError, shortened
from clipnav.storage.gzip_files import ALWAYS_ALLOWED, MOST_EXPANSION

# Exceptions that zipfile and its decompressors raise on damaged archives.
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


class UntrustedArchiveError(UserError):
    """An archive is intact but unsafe; the message names the archive and the reason."""


def unpack_zip(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into a new folder, completely or not at all."""
    if folder.exists():
        raise FileExistsError(f"{folder}: exists; move it away to unpack {archive} again")
    remove_abandoned(folder.parent.resolve())
    beside = temporary_path(folder)
    try:
        with zipfile.ZipFile(archive) as content:
            _check_members(archive, content, beside.parent)
            content.extractall(beside)
        beside.rename(folder)
    except UntrustedArchiveError:
        raise
    except (OSError, *_DAMAGE) as error:
        # bz2 raises OSError without a number, and an offset outside the archive raises EINVAL.
        # Other numbers are disk errors.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise UserError(
            f"{archive}: cannot be unpacked ({shortened(str(error), 200)}); move it away and "
            "download it again"
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
            f"{archive}: would expand to {size:,} bytes, but {most:,} are allowed for an "
            f"archive of its size (a factor of {MOST_EXPANSION}); do not trust this archive"
        )
    if size > free:
        raise UntrustedArchiveError(
            f"{archive}: contains {size:,} bytes, but only {free:,} are free on the disk; make "
            "room and try again"
        )
