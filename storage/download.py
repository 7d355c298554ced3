"""Fetching files over HTTP: interrupted ones go on where they stopped, damaged ones are refused."""

import contextlib
import http.client
import os
import shutil
import time
from email.message import Message
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from tqdm import tqdm

from storage import file_sha256

ATTEMPTS = 5
_CHUNK = 1 << 20
_TIMEOUT = 30.0  # seconds without a byte
_HEADERS = {"User-Agent": "clipnav", "Accept-Encoding": "identity"}
_PARTIAL_CONTENT, _RANGE_REFUSED = 206, 416


class DownloadError(OSError):
    """A file could not be fetched; the message says why.

    Attributes:
        unreachable: Whether the server could not be reached at all.
    """

    def __init__(self, reason: str, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.unreachable = unreachable


class _Interrupted(Exception):
    """The connection broke; what arrived is kept."""


def fetch(
    url: str, path: Path, sha256: str | None = None, bar: bool = True, pause: float = 1.0
) -> str:
    """Fetch a file.

    What has arrived lies in `<path>.partial` until it is whole. A later call asks for the rest of
    it (HTTP Range), unless the server's file is another one by then (If-Range).

    Args:
        url: Its address.
        path: Where it shall lie; its folder is made.
        sha256: What it must be; anything is taken when None.
        bar: Show progress.
        pause: Seconds before a broken connection is tried again.

    Returns:
        SHA-256 of the file.

    Raises:
        DownloadError: It could not be fetched, or is not what it must be. `path` is as it was.
    """
    partial = path.with_name(path.name + ".partial")
    for attempt in range(ATTEMPTS):
        try:
            _transfer(url, partial, bar)
            break
        except _Interrupted as error:
            if attempt == ATTEMPTS - 1:
                raise DownloadError(
                    f"the connection broke {ATTEMPTS} times ({error}); run the same command "
                    "again to go on from there"
                ) from error
            time.sleep(pause)
    found = file_sha256(partial)
    if sha256 is not None and found != sha256:
        _discard(partial)
        raise DownloadError(f"what came has SHA-256 {found}, but {sha256} was expected")
    os.replace(partial, path)
    _discard(partial)
    return found


def _transfer(url: str, partial: Path, bar: bool) -> None:
    """Fetch what is missing of a partial file.

    Raises:
        _Interrupted: Trying again makes sense.
        DownloadError: It does not.
    """
    tag = _tag_file(partial)
    have = partial.stat().st_size if partial.is_file() and tag.is_file() else 0
    request = Request(url, headers=_HEADERS)
    if have:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", tag.read_text(encoding="latin-1"))
    try:
        response: http.client.HTTPResponse = urlopen(request, timeout=_TIMEOUT)
    except HTTPError as error:
        if error.code == _RANGE_REFUSED:
            if _is_whole(partial, error):
                return
            _discard(partial)
            raise _Interrupted("the server's file is another one now") from error
        raise DownloadError(f"the server answers {error.code} {error.reason}") from error
    except (URLError, OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise DownloadError(f"the server cannot be reached ({reason})", True) from error
    with response:
        if response.headers.get_content_type() == "text/html":
            raise DownloadError("the server sends a web page in place of the file")
        partial.parent.mkdir(parents=True, exist_ok=True)
        start = f"bytes {have}-"
        if response.status != _PARTIAL_CONTENT:
            _discard(partial)
            have = 0
        elif not response.headers.get("Content-Range", "").startswith(start):
            _discard(partial)
            raise _Interrupted("the server sends another part of the file than the missing one")
        _keep_tag(tag, response)
        _append(response, partial, have, bar)


def _is_whole(partial: Path, refusal: HTTPError) -> bool:
    """Whether nothing is missing: the server's file is the same, and ends where ours does."""
    size = refusal.headers.get("Content-Range", "")  # "bytes */SIZE" (RFC 9110)
    ours = _tag_file(partial).read_text(encoding="latin-1")
    # Having compared the tags already (If-Range), it need not tell its own again.
    return size == f"bytes */{partial.stat().st_size}" and _tag(refusal.headers) in ("", ours)


def _append(response: http.client.HTTPResponse, partial: Path, have: int, bar: bool) -> None:
    length = response.headers.get("Content-Length")
    total = None if length is None else have + int(length)
    free = shutil.disk_usage(partial.parent).free
    if total is not None and total - have > free:
        raise DownloadError(f"{total - have:,} bytes are to come, but the disk has {free:,}")
    name = partial.name.removesuffix(".partial")
    progress = tqdm(
        total=total, initial=have, desc=name, unit="B", unit_scale=True, disable=not bar
    )
    with partial.open("ab") as file, progress:
        while True:
            try:
                chunk = response.read(_CHUNK)
            except (OSError, http.client.HTTPException) as error:
                raise _Interrupted(str(error) or type(error).__name__) from error
            if not chunk:
                break
            file.write(chunk)
            progress.update(len(chunk))
    size = partial.stat().st_size
    if total is not None and size != total:
        raise _Interrupted(f"{size:,} of {total:,} bytes came")


def _tag_file(partial: Path) -> Path:
    return partial.with_name(partial.name + "-tag")


def _tag(headers: Message) -> str:
    """What tells the server's file from later ones; empty if it says nothing."""
    etag = headers.get("ETag", "")
    strong = etag if not etag.startswith("W/") else ""  # If-Range takes no weak one (RFC 9110)
    return strong or headers.get("Last-Modified", "")


def _keep_tag(tag: Path, response: http.client.HTTPResponse) -> None:
    """Remember which file the server has; without that, fetching starts anew."""
    if value := _tag(response.headers):
        tag.write_text(value, encoding="latin-1")
    else:
        tag.unlink(missing_ok=True)


def _discard(partial: Path) -> None:
    for path in (partial, _tag_file(partial)):
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
