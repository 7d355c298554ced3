"""Unpacking zip archives that strangers made."""

import os
import shutil
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath


def unpack_zip(archive: Path, folder: Path) -> None:
    """Unpack a zip archive into a folder that does not exist yet, whole or not at all.

    Raises:
        FileExistsError: The folder is there already.
        ValueError: The archive is damaged or locked, or one of its members would leave the folder,
            is a link, or does not fit on the disk. Nothing of it is left.
    """
    if folder.exists():
        raise FileExistsError(f"{folder}: is there already; move it away to unpack {archive} anew")
    beside = folder.with_name(f"{folder.name}.{os.getpid()}.unpacking")
    try:
        with zipfile.ZipFile(archive) as content:
            _check_members(archive, content, beside.parent)
            content.extractall(beside)
        beside.rename(folder)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError) as error:
        raise ValueError(
            f"{archive}: cannot be unpacked ({error}); delete it and fetch it again"
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _check_members(archive: Path, content: zipfile.ZipFile, disk: Path) -> None:
    for member in content.infolist():
        windows = PureWindowsPath(member.filename)
        inside = not windows.drive and not windows.root and ".." not in windows.parts
        if not inside or PurePosixPath(member.filename).is_absolute():
            raise ValueError(
                f"{archive}: member {member.filename!r} would be written outside the folder; "
                "do not trust this archive"
            )
        if stat.S_ISLNK(member.external_attr >> 16):
            raise ValueError(
                f"{archive}: member {member.filename!r} is a link; do not trust this archive"
            )
    size, free = sum(m.file_size for m in content.infolist()), shutil.disk_usage(disk).free
    if size > free:
        raise ValueError(
            f"{archive}: holds {size:,} bytes, but the disk has {free:,}; make room and try again"
        )
