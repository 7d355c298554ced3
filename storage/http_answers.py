"""Answers of HTTP servers to a request for a file or the rest of one, and what is wrong in them."""

import json
import re
from dataclasses import dataclass

import requests
from requests import Response
from urllib3.exceptions import InvalidHeader, ProtocolError
from urllib3.util import Retry

_TIMEOUT = 30.0  # seconds to connect, and seconds without a byte
_HEADERS = {"User-Agent": "clipnav", "Accept-Encoding": "identity"}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_PASSING = (408, 425, 429)  # and 5xx
_OK, _PARTIAL_CONTENT, _RANGE_REFUSED = 200, 206, 416


class DownloadError(OSError):
    """A file could not be downloaded; the message says why.

    Attributes:
        unreachable: Whether the server could not be reached at all.
    """

    def __init__(self, reason: str, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.unreachable = unreachable


class PassingError(Exception):
    """A fault that may be gone at the next attempt.

    Attributes:
        discard: Whether what has arrived is of no use.
        wait: Seconds after which the server wants to be asked again, if it says so.
    """

    def __init__(self, reason: str, discard: bool = False, wait: float | None = None) -> None:
        super().__init__(reason)
        self.discard = discard
        self.wait = wait


@dataclass(frozen=True)
class Version:
    """One version of a file on a server.

    Attributes:
        validator: A strong ETag, else the Last-Modified date; empty if the server gives neither.
        size: Bytes of the whole file, if known.
    """

    validator: str
    size: int | None

    @classmethod
    def of(cls, response: Response, size: int | None) -> "Version":
        """Version that an answer is of."""
        etag = response.headers.get("ETag", "")
        strong = etag if not etag.startswith("W/") else ""  # If-Range takes no weak one (RFC 9110)
        return cls(strong or response.headers.get("Last-Modified", ""), size)

    @classmethod
    def parse(cls, text: str) -> "Version | None":
        """Read what `text` wrote; None if it is damaged."""
        try:
            value = json.loads(text)
            validator, size = value["validator"], value["size"]
        except (ValueError, TypeError, KeyError):
            return None
        sound = isinstance(validator, str) and validator and isinstance(size, int | None)
        return cls(validator, size) if sound else None

    def text(self) -> str:
        """JSON text, for `parse`."""
        return json.dumps({"validator": self.validator, "size": self.size})

    def admits(self, other: "Version") -> bool:
        """Whether a partial answer can be of this version.

        RFC 9110 (15.3.7) has a server repeat the ETag in each of them, but not Last-Modified.
        """
        if self.size is not None and other.size is not None and self.size != other.size:
            return False
        is_etag = self.validator.startswith('"')
        return other.validator == self.validator or not (other.validator or is_etag)


@dataclass(frozen=True)
class Span:
    """The bytes that an answer holds.

    Attributes:
        start: Where they begin in the file.
        length: How many they are, if known.
        total: Bytes of the whole file, if known.
        framed: Whether their end differs from a connection that breaks.
    """

    start: int
    length: int | None
    total: int | None
    framed: bool


def answer(url: str, have: int, version: Version | None) -> Response:
    """Ask for a file, or for the rest of a version of which the first `have` bytes are there.

    Returns:
        An answer with status 200, 206 or 416 whose body is still to be read.

    Raises:
        PassingError: Trying again makes sense.
        DownloadError: It does not.
    """
    headers = dict(_HEADERS)
    if have and version:
        headers |= {"Range": f"bytes={have}-", "If-Range": version.validator}
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT)
    except requests.ReadTimeout as error:
        raise PassingError(f"the server does not answer within {_TIMEOUT:g} seconds") from error
    except requests.ConnectionError as error:
        if error.args and isinstance(error.args[0], ProtocolError):
            raise PassingError(f"the connection broke ({_cause(error)})") from error
        raise DownloadError(f"the server cannot be reached ({_cause(error)})", True) from error
    except requests.RequestException as error:
        raise DownloadError(f"the address cannot be fetched ({error})") from error
    if response.status_code in (_OK, _PARTIAL_CONTENT, _RANGE_REFUSED):
        return response
    with response:
        reason = f"the server answers {response.status_code} {response.reason or ''}".rstrip()
        if response.status_code in _PASSING or response.status_code >= 500:
            raise PassingError(reason, wait=_retry_after(response))
        raise DownloadError(reason)


def span_of(response: Response, have: int, version: Version | None, name: str) -> Span:
    """Check that an answer holds a file or the rest of it.

    Args:
        response: The answer, of status 200 or 206.
        have: Bytes that are there already.
        version: Version that they are of.
        name: Of the file: servers label compressed files as compressed for the transfer.

    Raises:
        PassingError: It holds something else, which another attempt may mend.
        DownloadError: It holds something else.
    """
    if response.headers.get("Content-Type", "").partition(";")[0].strip() == "text/html":
        raise DownloadError("the server sends a web page in place of the file")
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity" and not (name.endswith(".gz") and encoding in ("gzip", "x-gzip")):
        raise DownloadError(
            f"the server sends the file compressed ({encoding}) although it was asked not to; "
            "download it in another way and put it there"
        )
    announced, chunked = response.headers.get("Content-Length", ""), bool(response.raw.chunked)
    length = int(announced) if announced.isdecimal() and not chunked else None
    if response.status_code == _OK:
        return Span(0, length, length, chunked or length is not None)
    found = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    start, end, total = map(int, found.groups()) if found else (-1, -1, -1)
    if start != have or not start <= end < total or length not in (None, end + 1 - start):
        raise PassingError("the server sends another part of the file than the missing one", True)
    if version and have and not version.admits(Version.of(response, total)):
        raise PassingError("the server sends a part of another version of the file", True)
    return Span(start, end + 1 - start, total, True)


def is_end(refusal: Response, have: int, version: Version) -> bool:
    """Whether a refused range means that nothing is missing."""
    if refusal.headers.get("Content-Range", "") != f"bytes */{have}":
        return False
    theirs = Version.of(refusal, have)
    # Having compared the versions (If-Range), a server need not name its own here.
    return version.admits(theirs if theirs.validator else Version(version.validator, have))


def _retry_after(response: Response) -> float | None:
    """Seconds that a server asks to wait, if it does in a way that can be read."""
    value = response.headers.get("Retry-After")
    try:
        return Retry().parse_retry_after(value) if value else None
    except InvalidHeader:
        return None


def _cause(error: BaseException) -> str:
    """What the system says of an error that libraries have wrapped."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return " ".join(str(error).split()) or type(error).__name__
