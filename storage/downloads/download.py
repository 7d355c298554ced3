"""Download files over HTTP: resume after interruptions, retry, and verify checksums."""

import os
import shutil
import sys
import time
from pathlib import Path

from requests import Response
from tqdm import tqdm
from urllib3.exceptions import HTTPError, ReadTimeoutError

from clipnav.storage import file_sha256
from clipnav.storage.downloads.responses import (
    RANGE_NOT_SATISFIABLE,
    ByteRange,
    DownloadError,
    TransientError,
    Version,
    is_complete,
    request_file,
    response_range,
)
from clipnav.storage.locks import sole_maker
from clipnav.storage.progress import progress_bar

ATTEMPTS = 5
_CHUNK = 1 << 20
_LONGEST_BACKOFF = 60.0  # seconds
_LONGEST_WAIT = 300.0  # seconds; if a server requests a longer wait, the download fails


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

    Args:
        url: Address, http or https.
        path: Destination; its folder is created if necessary.
        sha256: Expected SHA-256. Without it, the server must send the length of the file.
        bar: Show progress and waits.
        pause: Seconds before the first retry.

    Returns:
        SHA-256 of the file.

    Raises:
        DownloadError: The download failed, or the SHA-256 differs. `path` is unchanged.
    """
    previous = _identity(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with sole_maker(path):
        if _identity(path) not in (None, previous):  # another process has just downloaded it
            digest = file_sha256(path)
            if sha256 in (None, digest):
                return digest
        partial = _Partial(path, sha256 is not None)
        _download(url, partial, bar, pause)
        digest = file_sha256(partial.file)
        if sha256 is not None and digest != sha256:
            partial.discard()
            raise DownloadError(f"its SHA-256 is {digest}, but {sha256} was expected")
        os.replace(partial.file, path)
        partial.discard()
        return digest


class _Partial:
    """Received bytes of a file, and their version on the server.

    Attributes:
        path: Destination of the complete file.
        file: File of the received bytes.
        digest_known: Whether a digest will verify the complete file.
    """

    def __init__(self, path: Path, digest_known: bool) -> None:
        self.path = path
        self.file = path.with_name(path.name + ".partial")
        self.digest_known = digest_known
        self._version_file = path.with_name(path.name + ".partial-version")

    @property
    def size(self) -> int:
        """Number of received bytes."""
        return self.file.stat().st_size if self.file.is_file() else 0

    @property
    def version(self) -> Version | None:
        """Version of the received bytes; None if they cannot be continued."""
        if not self.size or not self._version_file.is_file():
            return None
        return Version.parse(self._version_file.read_text(encoding="utf-8"))

    def begin(self, version: Version) -> None:
        """Start again with a version of the file."""
        self.discard()
        self.file.touch()
        if version.validator:
            self._version_file.write_text(version.to_json(), encoding="utf-8")

    def discard(self) -> None:
        """Delete the received bytes."""
        self.file.unlink(missing_ok=True)
        self._version_file.unlink(missing_ok=True)


def _identity(path: Path) -> tuple[int, int] | None:
    """Return values that change when a file is replaced; None if there is no file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _download(url: str, partial: _Partial, bar: bool, pause: float) -> None:
    """Download the missing part, and retry after transient failures."""
    failures, was_reached = 0, False
    while True:
        size_before = partial.size
        try:
            _transfer(url, partial, bar)
            return
        except TransientError as error:
            was_reached = True
            if error.discard:
                partial.discard()
            failures = 1 if partial.size - size_before >= _CHUNK else failures + 1
            reason, wait = str(error), error.wait
        except DownloadError as error:
            # A host that has just responded is likely to respond again.
            if not (error.unreachable and was_reached):
                raise
            failures, reason, wait = failures + 1, str(error), None
        remedy = "run the same command again to resume"
        if failures == ATTEMPTS:
            raise DownloadError(
                f"{ATTEMPTS} attempts failed, the last one because {reason}; {remedy}"
            )
        if wait is not None and wait > _LONGEST_WAIT:
            raise DownloadError(f"{reason}, and requests a wait of {wait:.0f} s; then {remedy}")
        backoff = min(pause * 2 ** (failures - 1), _LONGEST_BACKOFF)
        wait = max(wait or 0.0, backoff)
        if bar:
            name = partial.path.name
            tqdm.write(f"{name}: {reason}; retrying in {wait:.0f} s", file=sys.stderr)
        time.sleep(wait)


def _transfer(url: str, partial: _Partial, bar: bool) -> None:
    """Download the missing part in one request.

    Raises:
        TransientError: The request failed, but a retry may succeed.
        DownloadError: The request failed, and a retry would fail, too.
    """
    version = partial.version
    received = partial.size if version else 0
    with request_file(url, received, version) as response:
        if response.status_code == RANGE_NOT_SATISFIABLE:
            if version and is_complete(response, received, version):
                return
            raise TransientError("the server responds with 416 (no such range)", discard=True)
        span = response_range(response, received, version, partial.path.name)
        if not (span.has_end or partial.digest_known):
            raise DownloadError(
                "the server does not send the length of the file, so a truncated file could not be "
                "detected; download it in another way"
            )
        if span.start == 0:
            partial.begin(Version.of_response(response, span.total))
        _append(response, partial, span, bar)
    size = partial.size
    if not size:
        raise TransientError("the server sends an empty file", discard=True)
    if span.total is not None and size < span.total:
        raise TransientError(f"the server sent {size:,} of {span.total:,} bytes")


def _append(response: Response, partial: _Partial, span: ByteRange, bar: bool) -> None:
    """Append the body of a response to the received bytes."""
    free = shutil.disk_usage(partial.path.parent).free
    if span.length and span.length > free:
        raise DownloadError(
            f"{span.length:,} bytes are missing, but only {free:,} are free on the disk; make room"
        )
    progress = progress_bar(
        total=span.total,
        initial=span.start,
        desc=partial.path.name,
        unit="B",
        unit_scale=True,
        disable=not bar,
    )
    count = 0
    with partial.file.open("ab") as file, progress:
        while True:
            try:
                # read1 returns the available bytes, so a broken connection loses none of them.
                chunk = response.raw.read1(_CHUNK, decode_content=False)
            except HTTPError as error:
                timed_out = isinstance(error, ReadTimeoutError)
                reason = "no more bytes arrived in time" if timed_out else "the connection broke"
                of_total = "" if span.total is None else f" of {span.total:,}"
                raise TransientError(
                    f"{reason} after {span.start + count:,}{of_total} bytes"
                ) from error
            if not chunk:
                return
            count += len(chunk)
            if span.length is not None and count > span.length:
                raise TransientError("the server sends more than it announced", discard=True)
            file.write(chunk)
            progress.update(len(chunk))
