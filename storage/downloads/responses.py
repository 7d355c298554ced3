"""Request a file over HTTP, or its missing part, and validate the response."""

import json
import re
from dataclasses import dataclass

import requests
from requests import Response
from urllib3.exceptions import InvalidHeader, ProtocolError
from urllib3.util import Retry

from clipnav.storage.errors import in_one_line

_TIMEOUT = 30.0  # seconds to connect, and seconds without a byte
_HEADERS = {"User-Agent": "clipnav", "Accept-Encoding": "identity"}
_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+)")
_TRANSIENT = (408, 425, 429)  # and 5xx
OK, PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE = 200, 206, 416


class DownloadError(OSError):
    """A file could not be downloaded; the message contains the reason.

    Attributes:
        unreachable: Whether no connection to the server was possible.
    """

    def __init__(self, reason: str, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.unreachable = unreachable


class TransientError(Exception):
    """A failure that a retry may resolve.

    Attributes:
        discard: Whether the bytes received so far must be deleted.
        wait: Seconds to wait before the retry, if the server requests a wait.
    """

    def __init__(self, reason: str, discard: bool = False, wait: float | None = None) -> None:
        super().__init__(reason)
        self.discard = discard
        self.wait = wait


@dataclass(frozen=True)
class Version:
    """One version of a file on a server.

    Attributes:
        validator: Strong ETag, else the Last-Modified date; empty if the server sends neither.
        size: Size of the whole file in bytes, if known.
    """

    validator: str
    size: int | None

    @classmethod
    def of_response(cls, response: Response, size: int | None) -> "Version":
        """Return the version that a response belongs to."""
        etag = response.headers.get("ETag", "")
        strong = etag if not etag.startswith("W/") else ""  # RFC 9110: If-Range needs a strong one
        return cls(strong or response.headers.get("Last-Modified", ""), size)

    @classmethod
    def parse(cls, text: str) -> "Version | None":
        """Parse the output of `to_json`; return None if it is damaged."""
        try:
            value = json.loads(text)
            validator, size = value["validator"], value["size"]
        except (ValueError, TypeError, KeyError):
            return None
        is_valid = isinstance(validator, str) and validator and isinstance(size, int | None)
        return cls(validator, size) if is_valid else None

    def to_json(self) -> str:
        """Return JSON text for `parse`."""
        return json.dumps({"validator": self.validator, "size": self.size})

    def matches(self, other: "Version") -> bool:
        """Return whether a partial response of version `other` can belong to this version.

        RFC 9110 (15.3.7) requires each partial response to repeat the ETag, but not Last-Modified.
        """
        if self.size is not None and other.size is not None and self.size != other.size:
            return False
        is_etag = self.validator.startswith('"')
        return other.validator == self.validator or not (other.validator or is_etag)


@dataclass(frozen=True)
class ByteRange:
    """Range of bytes that a response contains.

    Attributes:
        start: Offset of the first byte in the file.
        length: Number of bytes, if known.
        total: Size of the whole file in bytes, if known.
        has_end: Whether the protocol marks the end of the range, so that a truncated response is
            detected.
    """

    start: int
    length: int | None
    total: int | None
    has_end: bool


def request_file(url: str, received: int, version: Version | None) -> Response:
    """Request a file, or its missing part if the first `received` bytes of a version are present.

    Returns:
        A response with status 200, 206 or 416; its body is not read yet.

    Raises:
        TransientError: The request failed, but a retry may succeed.
        DownloadError: The request failed, and a retry would fail, too.
    """
    headers = dict(_HEADERS)
    if received and version:
        headers |= {"Range": f"bytes={received}-", "If-Range": version.validator}
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT)
    except requests.ReadTimeout as error:
        raise TransientError(f"the server does not respond within {_TIMEOUT:g} seconds") from error
    except requests.ConnectionError as error:
        if error.args and isinstance(error.args[0], ProtocolError):
            raise TransientError(f"the connection broke ({_cause(error)})") from error
        raise DownloadError(f"the server cannot be reached ({_cause(error)})", True) from error
    except requests.RequestException as error:
        raise DownloadError(f"the address cannot be fetched ({error})") from error
    if response.status_code in (OK, PARTIAL_CONTENT, RANGE_NOT_SATISFIABLE):
        return response
    with response:
        reason = f"the server responds with {response.status_code} {response.reason or ''}".rstrip()
        if response.status_code in _TRANSIENT or response.status_code >= 500:
            raise TransientError(reason, wait=_retry_after(response))
        raise DownloadError(reason)


def response_range(
    response: Response, received: int, version: Version | None, name: str
) -> ByteRange:
    """Check that a response contains a file or its missing part, and return the range of its bytes.

    Args:
        response: Response with status 200 or 206.
        received: Number of bytes that are already present.
        version: Version of these bytes.
        name: File name; servers may declare a .gz file to be compressed for the transfer.

    Raises:
        TransientError: The content is not as expected, but a retry may succeed.
        DownloadError: The content is not as expected, and a retry would not help.
    """
    if response.headers.get("Content-Type", "").partition(";")[0].strip() == "text/html":
        raise DownloadError("the server sends a web page instead of the file")
    encoding = response.headers.get("Content-Encoding", "identity").lower()
    if encoding != "identity" and not (name.endswith(".gz") and encoding in ("gzip", "x-gzip")):
        raise DownloadError(
            f"the server compresses the file ({encoding}) against the request; download it in "
            "another way"
        )
    announced, chunked = response.headers.get("Content-Length", ""), bool(response.raw.chunked)
    length = int(announced) if announced.isdecimal() and not chunked else None
    if response.status_code == OK:
        return ByteRange(0, length, length, chunked or length is not None)
    match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
    start, end, total = map(int, match.groups()) if match else (-1, -1, -1)
    if start != received or not start <= end < total or length not in (None, end + 1 - start):
        raise TransientError("the server sends a part of the file that was not requested", True)
    if version and received and not version.matches(Version.of_response(response, total)):
        raise TransientError("the server sends a part of another version of the file", True)
    return ByteRange(start, end + 1 - start, total, True)


def is_complete(response: Response, received: int, version: Version) -> bool:
    """Return whether a response with status 416 means that no bytes are missing."""
    if response.headers.get("Content-Range", "") != f"bytes */{received}":
        return False
    current = Version.of_response(response, received)
    # The server has compared the versions (If-Range), so it may omit its own here.
    return version.matches(current if current.validator else Version(version.validator, received))


def _retry_after(response: Response) -> float | None:
    """Return the seconds to wait that a server requests, or None."""
    value = response.headers.get("Retry-After")
    try:
        return Retry().parse_retry_after(value) if value else None
    except InvalidHeader:
        return None


def _cause(error: BaseException) -> str:
    """Return the text of the innermost error, usually that of the operating system."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return in_one_line(error)
