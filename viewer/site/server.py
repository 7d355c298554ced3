"""Web server of the page; by default it listens on this machine only."""

import asyncio
import ipaddress
import json
import logging
import re
import socket
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from typing import Any, Self
from urllib.parse import SplitResult, parse_qsl, urlsplit

from clipnav.storage.errors import UserError
from clipnav.storage.json_files import parse_json
from clipnav.viewer.site.routes import Answer, RequestError, SiteRoutes

_LOG = logging.getLogger(__name__)
_LARGEST_BODY = 100_000  # bytes
_LARGEST_HEAD = 1 << 16  # bytes
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d{1,6})[ \t]*\r\n", re.IGNORECASE)
_THREADS = 32  # that answer requests
_CONNECTIONS = 512  # open at a time; with those of the backlog, fewer than Linux's 1024 open files
_BACKLOG = 448  # connections that the system queues until they are accepted, all at once
_TIMEOUT = 30.0  # seconds for a whole request, and for a whole answer
# Makes the browser block all content from other servers.
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'"
)


class ViewerServer:
    """Server of the viewer's routes.

    An event loop receives requests and sends answers, so that a slow connection costs no thread;
    complete requests are answered in threads.
    """

    site: SiteRoutes

    def __init__(
        self, site: SiteRoutes | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            self._socket = socket.create_server((host, port), family=family)
        except OSError as error:
            raise OSError(
                f"cannot listen on port {port} of {host} ({error.strerror}): end what listens "
                "there, or name another port, --port 0 for any free one, or another --host"
            ) from error
        if site is not None:
            self.site = site
        self.server_address = self._socket.getsockname()
        self._is_local = _is_loopback(host)
        self._stopped: Future[None] = Future()
        self._threads = ThreadPoolExecutor(_THREADS)
        self._open: set[asyncio.StreamWriter] = set()
        # Connections without a complete request, the one that has waited longest first.
        self._waiting: dict[asyncio.StreamWriter, None] = {}

    @property
    def url(self) -> str:
        """Address of the page."""
        host, port = self.server_address[:2]
        return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"

    def serve_forever(self) -> None:
        """Serve until `shutdown` or an exception, such as that of Ctrl-C."""
        asyncio.run(self._serve())

    def shutdown(self) -> None:
        """Let `serve_forever` return, in another thread."""
        self._stopped.set_result(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._socket.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(
            self._serve_connection, sock=self._socket, limit=_LARGEST_HEAD, backlog=_BACKLOG
        )
        try:
            await asyncio.wrap_future(self._stopped)
        finally:
            server.close()
            # asyncio.run cancels what begins meanwhile: connections that are being accepted.
            tasks = asyncio.all_tasks() - {asyncio.current_task()}
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _serve_connection(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Answer requests until the browser leaves, is too slow, or its place is needed."""
        if len(self._open) >= _CONNECTIONS:
            self._close_longest_waiting(writer)
        self._open.add(writer)
        writer.transport.set_write_buffer_limits(0)  # drain() then waits until all is sent
        # It is cancelled when the server ends.
        ends = (OSError, EOFError, asyncio.LimitOverrunError, asyncio.CancelledError)
        try:
            with suppress(*ends):
                while await self._answer_one(reader, writer):
                    pass
        finally:
            self._open.discard(writer)
            writer.transport.abort()

    def _close_longest_waiting(self, newest: asyncio.StreamWriter) -> None:
        writer = next(iter(self._waiting), newest)
        self._waiting.pop(writer, None)
        self._open.discard(writer)
        writer.transport.abort()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer the next request; return whether another one may follow."""
        self._waiting[writer] = None
        try:
            async with asyncio.timeout(_TIMEOUT):
                received = await _receive(reader)
        finally:
            self._waiting.pop(writer, None)
        request = await asyncio.get_running_loop().run_in_executor(
            self._threads, _Request, received, self.site, self._is_local
        )
        # Head and body in one write, which is one packet if they are small.
        writer.write(request.wfile.getvalue())
        async with asyncio.timeout(_TIMEOUT):
            await writer.drain()
        return not request.close_connection


async def _receive(reader: asyncio.StreamReader) -> bytes:
    """Return the head and the body of a request; a body that is too long stays unread."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = _LENGTH.search(head)
    if length is None or int(length[1]) > _LARGEST_BODY:
        return head
    return head + await reader.readexactly(int(length[1]))


class _Request(BaseHTTPRequestHandler):
    """A received request, and its answer in `wfile`."""

    wfile: BytesIO
    protocol_version = "HTTP/1.1"
    server_version = "clipnav"

    def __init__(self, received: bytes, site: SiteRoutes, is_local: bool) -> None:
        # Not that of the base class, which reads from a socket.
        self._site, self._is_local = site, is_local
        self.rfile, self.wfile = BytesIO(received), BytesIO()
        self.close_connection = True
        self.handle_one_request()

    def do_GET(self) -> None:
        self._respond(lambda path, query: self._site.get(path, query))

    def do_POST(self) -> None:
        self._respond(lambda path, _: self._site.post(path, self._body()))

    def _respond(self, answer: Any) -> None:
        try:
            # A foreign Host header is a page of another site (DNS rebinding).
            host = _split(f"//{self.headers.get('Host', '')}").hostname or ""
            if self._is_local and not _is_loopback(host):
                raise RequestError(403, f"this server is for this machine only, not for {host!r}")
            parts = _split(self.path)
            self._send(answer(parts.path, dict(parse_qsl(parts.query))))
        except RequestError as error:
            self._refuse(error.status, str(error))
        except ConnectionError:
            raise  # the browser has closed the connection
        except Exception as error:
            _LOG.exception("while answering %s", self.path)
            self._refuse(500, f"something went wrong here: {error}")

    def _body(self) -> dict[str, Any]:
        # Pages of other origins cannot send this type without a CORS preflight request.
        if self.headers.get_content_type() != "application/json":
            raise RequestError(415, "the body must be application/json")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise RequestError(411, "the length of the body is missing")
        if len(length) > 6 or int(length) > _LARGEST_BODY:
            raise RequestError(413, f"the body is longer than {_LARGEST_BODY} bytes")
        try:
            body = parse_json(self.rfile.read(), "the body", "send a JSON object")
        except UserError as error:
            raise RequestError(400, str(error)) from error
        if not isinstance(body, dict):
            raise RequestError(400, "the body is not a JSON object")
        return body

    def _refuse(self, status: int, reason: str) -> None:
        # An unread body would be parsed as the next request of the connection.
        self.close_connection = True
        self._send(Answer(json.dumps({"error": reason}).encode(), status=status))

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        keep = f"private, max-age={answer.keep}" if answer.keep else "no-store"
        self.send_header("Cache-Control", keep)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Security-Policy", _POLICY)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, format: str, *arguments: Any) -> None:
        _LOG.debug(format, *arguments)


def _split(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise RequestError(400, f"{url!r} is not an address: {error}") from error


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
