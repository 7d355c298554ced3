"""Download files over HTTP: resume interrupted ones, retry passing faults, reject damaged ones."""

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout
from requests import Response
from tqdm import tqdm
from urllib3.exceptions import HTTPError, ReadTimeoutError

from storage import file_sha256
from storage.http_answers import (
    DownloadError,
    PassingError,
    Span,
    Version,
    answer,
    is_end,
    span_of,
)

ATTEMPTS = 5
_CHUNK = 1 << 20
_LONGEST_BACKOFF = 60.0  # seconds
_LONGEST_WAIT = 300.0  # seconds that a server may ask for before another command is better


def fetch(
    url: str, path: Path, sha256: str | None = None, bar: bool = True, pause: float = 1.0
) -> str:
    """Download a file.

    What has arrived lies in `<path>.partial` until it is whole, also after Ctrl-C. A later call
    asks for the rest of it (HTTP Range), unless the server has another version by then (If-Range).
    Statuses 408, 425, 429 and 5xx, broken connections, timeouts and answers that do not fit what
    has arrived are retried, up to `ATTEMPTS` times in a row without a megabyte of progress, after
    waits that double or that the server asks for (Retry-After). Several processes may ask for the
    same file: one downloads it, and the others wait.

    Args:
        url: Its address, http or https.
        path: Where it goes; its folder is made.
        sha256: Its expected SHA-256. Without one, the server must say how long the file is.
        bar: Show progress and waits.
        pause: Seconds before the first retry.

    Returns:
        SHA-256 of the file.

    Raises:
        DownloadError: It cannot be downloaded, or is not what it must be. `path` is as it was.
    """
    before = _identity(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with _alone(path):
        if _identity(path) not in (None, before):  # another process has just downloaded it
            found = file_sha256(path)
            if sha256 in (None, found):
                return found
        partial = _Partial(path, sha256 is not None)
        _download(url, partial, bar, pause)
        found = file_sha256(partial.file)
        if sha256 is not None and found != sha256:
            partial.discard()
            raise DownloadError(f"its SHA-256 is {found}, but {sha256} was expected")
        os.replace(partial.file, path)
        partial.discard()
        return found


class _Partial:
    """What has arrived of a file, and of which version on the server.

    Attributes:
        path: Where the whole file goes.
        file: What has arrived.
        digest_known: Whether a digest will tell if the file is whole.
    """

    def __init__(self, path: Path, digest_known: bool) -> None:
        self.path = path
        self.file = path.with_name(path.name + ".partial")
        self.digest_known = digest_known
        self._version_file = path.with_name(path.name + ".partial-version")

    @property
    def size(self) -> int:
        """Bytes that have arrived."""
        return self.file.stat().st_size if self.file.is_file() else 0

    @property
    def version(self) -> Version | None:
        """Version that the bytes are of; None if nothing can be added to them."""
        if not self.size or not self._version_file.is_file():
            return None
        return Version.parse(self._version_file.read_text(encoding="utf-8"))

    def begin(self, version: Version) -> None:
        """Start anew with a version of the file."""
        self.discard()
        self.file.touch()
        if version.validator:
            self._version_file.write_text(version.text(), encoding="utf-8")

    def discard(self) -> None:
        """Remove what has arrived."""
        self.file.unlink(missing_ok=True)
        self._version_file.unlink(missing_ok=True)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes and threads from downloading the same file meanwhile."""
    file = path.with_name(path.name + ".partial-lock")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        tqdm.write(f"{path}: another process is downloading it; waiting", file=sys.stderr)
        lock.acquire()
    try:
        yield
    finally:
        # Those who wait for the lock notice that its file is gone, and make another one.
        file.unlink(missing_ok=True)
        lock.release()


def _identity(path: Path) -> tuple[int, int] | None:
    """What changes when a file is replaced; None if there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _download(url: str, partial: _Partial, bar: bool, pause: float) -> None:
    """Download what is missing, retrying passing faults."""
    failures, reached = 0, False
    while True:
        had = partial.size
        try:
            _transfer(url, partial, bar)
            return
        except PassingError as error:
            reached = True
            if error.discard:
                partial.discard()
            failures = 1 if partial.size - had >= _CHUNK else failures + 1
            reason, wait = str(error), error.wait
        except DownloadError as error:
            # A host that has answered a moment ago is likely to come back.
            if not (error.unreachable and reached):
                raise
            failures, reason, wait = failures + 1, str(error), None
        again = "run the same command again to resume"
        if failures == ATTEMPTS:
            raise DownloadError(
                f"{ATTEMPTS} attempts failed, the last one because {reason}; {again}"
            )
        if wait is not None and wait > _LONGEST_WAIT:
            raise DownloadError(f"{reason}, and asks to wait {wait:.0f} seconds; then {again}")
        backoff = min(pause * 2 ** (failures - 1), _LONGEST_BACKOFF)
        wait = max(wait or 0.0, backoff)
        if bar:
            name = partial.path.name
            tqdm.write(f"{name}: {reason}; trying again in {wait:.0f} s", file=sys.stderr)
        time.sleep(wait)


def _transfer(url: str, partial: _Partial, bar: bool) -> None:
    """Download what is missing, in one request.

    Raises:
        PassingError: Trying again makes sense.
        DownloadError: It does not.
    """
    version = partial.version
    have = partial.size if version else 0
    with answer(url, have, version) as response:
        if response.status_code == 416:
            if version and is_end(response, have, version):
                return
            raise PassingError("the server answers 416 (no such range)", discard=True)
        span = span_of(response, have, version, partial.path.name)
        if not (span.framed or partial.digest_known):
            raise DownloadError(
                "the server does not say how long the file is, so that a file cut short would go "
                "unnoticed; download it in another way and put it there"
            )
        if span.start == 0:
            partial.begin(Version.of(response, span.total))
        _append(response, partial, span, bar)
    size = partial.size
    if not size:
        raise PassingError("the server sends an empty file", discard=True)
    if span.total is not None and size < span.total:
        raise PassingError(f"the server sent {size:,} of {span.total:,} bytes")


def _append(response: Response, partial: _Partial, span: Span, bar: bool) -> None:
    """Add the body of an answer to what has arrived."""
    free = shutil.disk_usage(partial.path.parent).free
    if span.length and span.length > free:
        raise DownloadError(f"{span.length:,} bytes are to come, but the disk has {free:,}")
    progress = tqdm(
        total=span.total,
        initial=span.start,
        desc=partial.path.name,
        unit="B",
        unit_scale=True,
        disable=not bar,
    )
    came = 0
    with partial.file.open("ab") as file, progress:
        while True:
            try:
                # read1 returns what there is: of a connection that breaks, nothing is lost.
                chunk = response.raw.read1(_CHUNK, decode_content=False)
            except HTTPError as error:
                timed_out = isinstance(error, ReadTimeoutError)
                reason = "no more bytes came in time" if timed_out else "the connection broke"
                of_total = "" if span.total is None else f" of {span.total:,}"
                raise PassingError(
                    f"{reason} after {span.start + came:,}{of_total} bytes"
                ) from error
            if not chunk:
                return
            came += len(chunk)
            if span.length is not None and came > span.length:
                raise PassingError("the server sends more than it announced", discard=True)
            file.write(chunk)
            progress.update(len(chunk))
