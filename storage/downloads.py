"""Download files over HTTP, with resumption, retries and checksums; unpack untrusted archives."""

import errno
import json
import lzma
import os
import re
import shutil
import stat
import struct
import sys
import time
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, TypedDict

import requests
from requests import Response
from tqdm import tqdm
from urllib3.exceptions import HTTPError, InvalidHeader, ProtocolError, ReadTimeoutError
from urllib3.util import Retry

from clipnav.storage import file_sha256, remove_abandoned, temporary_path, write_text
from clipnav.storage.bounds import MOST_EXPANSION, most_expanded
from clipnav.storage.errors import UserError, in_one_line, truncate
from clipnav.storage.json_files import read_json
from clipnav.storage.locks import waiting_lock
from clipnav.storage.progress import progress_bar

ATTEMPTS = 5
MANIFEST = "checksums.json"
_CHUNK = 1 << 20
_LONGEST_BACKOFF = 60.0  # seconds
_LONGEST_WAIT = 300.0  # seconds; if a server requests a longer wait, the download fails
_TIMEOUT = 30.0  # seconds to connect, and seconds without a byte
_HEADERS = {"User-Agent": "clipnav", "Accept-Encoding": "identity"}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_TRANSIENT = (408, 416, 425, 429)  # statuses, and 5xx
_MANIFEST_HINT = "delete it; the checksums of present files are then recorded again"
# Exceptions that zipfile and its decompressors raise on damaged archives.
_ZIP_DAMAGE = (
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


class DownloadError(OSError):
    """A file could not be downloaded; the message contains the reason.

    Attributes:
        unreachable: Whether no connection to the server was possible.
    """

    def __init__(self, reason: str, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.unreachable = unreachable


class _TransientError(Exception):
    """A failure that a retry may resolve.

    Attributes:
        discard: Whether the bytes received so far must be deleted.
        wait: Seconds to wait before the retry, if the server requests a wait.
    """

    def __init__(self, reason: str, discard: bool = False, wait: float = 0.0) -> None:
        super().__init__(reason)
        self.discard = discard
        self.wait = wait


def fetch(
    url: str, path: Path, sha256: str | None = None, bar: bool = True, pause: float = 1.0
) -> str:
    """Download a file.

    Received bytes are stored in `<path>.partial` until the file is complete, also after Ctrl-C. A
    later call requests only the missing part (HTTP Range), unless the file has changed on the
    server (If-Range). Statuses 408, 425, 429 and 5xx, broken connections, timeouts and responses
    that do not continue the received bytes are retried, up to `ATTEMPTS` times in a row without a
    megabyte of progress. The waits double, or last as long as the server requests (Retry-After).
    If several processes download the same file, one downloads it and the others wait.
    """
    previous = _identity(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with waiting_lock(path):
        if _identity(path) not in (None, previous):  # another process has just downloaded it
            digest = file_sha256(path)
            if sha256 in (None, digest):
                return digest
        partial = _Partial(path)
        _retry(url, partial, sha256 is not None, bar, pause)
        digest = file_sha256(partial.file)
        if sha256 is not None and digest != sha256:
            partial.discard()
            raise DownloadError(f"its SHA-256 is {digest}, but {sha256} was expected")
        os.replace(partial.file, path)
        partial.discard()
        return digest


def _identity(path: Path) -> tuple[int, int] | None:
    """Return values that change when a file is replaced; None if there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


class _Partial:
    """Received bytes of a file, and their version: its size and a validator of the server."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = path.with_name(path.name + ".partial")
        self.version_file = path.with_name(path.name + ".partial-version")

    @property
    def size(self) -> int:
        return self.file.stat().st_size if self.file.is_file() else 0

    @property
    def version(self) -> tuple[str, str]:
        """Size of the whole file and validator; ("", "") if the bytes cannot be continued."""
        if not self.size or not self.version_file.is_file():
            return "", ""
        size, _, validator = self.version_file.read_text(encoding="utf-8").partition(" ")
        return size, validator

    def begin(self, version: tuple[str, str]) -> None:
        self.discard()
        self.file.touch()
        if version[1]:
            self.version_file.write_text(" ".join(version), encoding="utf-8")

    def discard(self) -> None:
        self.file.unlink(missing_ok=True)
        self.version_file.unlink(missing_ok=True)


def _retry(url: str, partial: _Partial, digest_known: bool, bar: bool, pause: float) -> None:
    """Download the missing part, and retry after transient failures."""
    failures, was_reached = 0, False
    hint = "run the same command again to resume"
    while True:
        size_before = partial.size
        try:
            _transfer(url, partial, digest_known, bar)
            return
        except _TransientError as error:
            was_reached = True
            if error.discard:
                partial.discard()
            failures = 1 if partial.size - size_before >= _CHUNK else failures + 1
            reason, wait = str(error), error.wait
        except DownloadError as error:
            # A host that has just responded is likely to respond again.
            if not (error.unreachable and was_reached):
                raise
            failures, reason, wait = failures + 1, str(error), 0.0
        if failures == ATTEMPTS:
            raise DownloadError(
                f"{ATTEMPTS} attempts failed, the last one because {reason}; {hint}"
            )
        if wait > _LONGEST_WAIT:
            raise DownloadError(f"{reason}, and requests a wait of {wait:.0f} s; then {hint}")
        wait = max(wait, min(pause * 2 ** (failures - 1), _LONGEST_BACKOFF))
        if bar:
            name = partial.path.name
            tqdm.write(f"{name}: {reason}; retrying in {wait:.0f} s", file=sys.stderr)
        time.sleep(wait)


def _transfer(url: str, partial: _Partial, digest_known: bool, bar: bool) -> None:
    """Download the missing part in one request."""
    size, validator = partial.version
    received = partial.size if validator else 0
    if received and size == str(received):
        return
    with _request(url, received, validator) as response:
        start, length, total = _span(response, received, partial.path.name)
        is_bounded = length is not None or response.raw.chunked
        if not (is_bounded or digest_known):
            raise DownloadError(
                "the server does not send the length of the file, so a truncated file could not be "
                "detected; download it in another way"
            )
        # The ETag if it is strong, as RFC 9110 requires for If-Range, or the date.
        etag = response.headers.get("ETag", "")
        date = response.headers.get("Last-Modified", "")
        version = str(total or ""), etag if etag.startswith('"') else date
        if start == 0:
            partial.begin(version)
        # RFC 9110 (15.3.7) requires a partial response to repeat the ETag, but not Last-Modified.
        elif version[1] != validator and (version[1] or validator.startswith('"')):
            raise _TransientError("the server sends a part of another version of the file", True)
        elif size not in ("", version[0]):
            raise _TransientError("the server sends a part of another version of the file", True)
        _append(response, partial, (start, length, total), bar)
    if not partial.size:
        raise _TransientError("the server sends an empty file", discard=True)
    if total is not None and partial.size < total:
        raise _TransientError(f"the server sent {partial.size:,} of {total:,} bytes")


def _request(url: str, received: int, validator: str) -> Response:
    """Request a file, or its missing part if bytes of a version have been received."""
    part = {"Range": f"bytes={received}-", "If-Range": validator} if received else {}
    try:
        response = requests.get(url, headers=_HEADERS | part, stream=True, timeout=_TIMEOUT)
    except requests.ReadTimeout as error:
        raise _TransientError(f"the server does not respond within {_TIMEOUT:g} seconds") from error
    except requests.ConnectionError as error:
        cause: BaseException = error
        while inner := cause.__cause__ or cause.__context__:
            cause = inner
        if error.args and isinstance(error.args[0], ProtocolError):
            raise _TransientError(f"the connection broke ({in_one_line(cause)})") from error
        reason = f"the server cannot be reached ({in_one_line(cause)})"
        raise DownloadError(reason, unreachable=True) from error
    except requests.RequestException as error:
        raise DownloadError(f"the address cannot be fetched ({error})") from error
    status = response.status_code
    if status in (200, 206):
        return response
    with response:
        reason = f"the server responds with {status} {response.reason or ''}".rstrip()
        if status not in _TRANSIENT and status < 500:
            raise DownloadError(reason)
        try:
            wait = Retry().parse_retry_after(response.headers.get("Retry-After", "0"))
        except InvalidHeader:
            wait = 0.0
        raise _TransientError(reason, discard=status == 416, wait=wait)


def _span(response: Response, received: int, name: str) -> tuple[int, int | None, int | None]:
    """Check a response; return its first byte, its length, and the size of the whole file."""
    if response.headers.get("Content-Type", "").partition(";")[0].strip() == "text/html":
        raise DownloadError("the server sends a web page instead of the file")
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    # Servers may declare a .gz file to be compressed for the transfer.
    if encoding != "identity" and not (name.endswith(".gz") and encoding in ("gzip", "x-gzip")):
        raise DownloadError(
            f"the server compresses the file ({encoding}) against the request; download it in "
            "another way"
        )
    announced = response.headers.get("Content-Length", "")
    length = int(announced) if announced.isdecimal() and not response.raw.chunked else None
    if response.status_code == 200:
        return 0, length, length
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    start, end, total = map(int, match.groups()) if match else (-1, -1, -1)
    if start != received or not start <= end < total or length not in (None, end + 1 - start):
        raise _TransientError("the server sends a part of the file that was not requested", True)
    return start, end + 1 - start, total


def _append(
    response: Response, partial: _Partial, span: tuple[int, int | None, int | None], bar: bool
) -> None:
    """Append the body of a response to the received bytes."""
    start, length, total = span
    free = shutil.disk_usage(partial.path.parent).free
    if length and length > free:
        raise DownloadError(
            f"{length:,} bytes are missing, but only {free:,} are free on the disk; make room"
        )
    name = partial.path.name
    options: dict[str, Any] = {"unit": "B", "unit_scale": True, "disable": not bar}
    count = 0
    with (
        partial.file.open("ab") as file,
        progress_bar(total=total, initial=start, desc=name, **options) as progress,
    ):
        while True:
            try:
                # read1 returns the available bytes, so a broken connection loses none of them.
                chunk = response.raw.read1(_CHUNK, decode_content=False)
            except HTTPError as error:
                timed_out = isinstance(error, ReadTimeoutError)
                reason = "no more bytes arrived in time" if timed_out else "the connection broke"
                of_total = "" if total is None else f" of {total:,}"
                raise _TransientError(
                    f"{reason} after {start + count:,}{of_total} bytes"
                ) from error
            if not chunk:
                return
            count += len(chunk)
            if length is not None and count > length:
                raise _TransientError("the server sends more than it announced", discard=True)
            file.write(chunk)
            progress.update(len(chunk))


class _Entry(TypedDict):
    sha256: str
    url: str


class Checksums:
    """SHA-256 of the files below a folder, stored in its `checksums.json`.

    If the publisher of a file gives no checksum, the first download cannot be checked, but later
    changes of the file are detected.

    Attributes:
        path: The manifest.
    """

    def __init__(self, folder: Path) -> None:
        """Read the manifest of a folder, if there is one."""
        self.path = folder / MANIFEST
        self._entries = self._read()

    def recorded(self, name: str) -> str | None:
        """Return the recorded SHA-256 of a file, by its path relative to the folder."""
        return self._entries[name]["sha256"] if name in self._entries else None

    def check(self, name: str, known: str | None, url: str) -> str:
        """Check a file of the folder, and record its SHA-256 if there is no record."""
        file = self.path.parent / name
        digest = file_sha256(file)
        expected = known or self.recorded(name)
        if expected is not None and digest != expected:
            source = "was expected" if known else f"is recorded in {self.path}"
            raise UserError(
                f"{file}: its SHA-256 is {digest}, but {expected} {source}; move it away to "
                "download it again"
                f"{'' if known else f', or delete its entry in {self.path} to keep it'}"
            )
        if self.recorded(name) != digest:
            with waiting_lock(self.path):
                # Another process may have added files since this one read the manifest.
                self._entries = {**self._read(), name: {"sha256": digest, "url": url}}
                write_text(self.path, json.dumps(self._entries, indent=1, sort_keys=True) + "\n")
        return digest

    def _read(self) -> dict[str, _Entry]:
        present = self.path.is_file()
        return read_json(self.path, _MANIFEST_HINT, dict[str, _Entry]) if present else {}


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
    except (OSError, *_ZIP_DAMAGE) as error:
        # bz2 raises OSError without a number, and an offset outside the archive raises EINVAL.
        # Other numbers are disk errors.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            raise
        raise UserError(
            f"{archive}: cannot be unpacked ({truncate(str(error), 200)}); move it away and "
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
    most = most_expanded(archive.stat().st_size)
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
