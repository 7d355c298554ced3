"""Web server of the page; by default it listens on this machine only."""

import ipaddress
import json
import logging
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedReader
from threading import Condition
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from storage.errors import UserError
from storage.json_files import parse_json
from viewer.site.routes import Answer, RequestError, Routes

_LOG = logging.getLogger(__name__)
_LARGEST_BODY = 100_000  # bytes
_CONNECTIONS = 64  # served at a time, each by a thread of its own; a browser opens six
_TIMEOUT = 30.0  # seconds after which a connection that sends nothing is closed
# Makes the browser block all content from other servers.
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; connect-src 'self'"
)


class ViewerServer(ThreadingHTTPServer):
    """Server of the viewer's routes.

    Args:
        site: Routes to serve. They can be set after the port is bound, before `serve_forever`.
        host: Address to listen on.
        port: Port number; 0 for any free port.

    Raises:
        OSError: The port or address cannot be used; the message contains the remedy.
    """

    daemon_threads = True
    request_queue_size = 1024  # connections that the system queues until a thread is free
    site: Routes

    def __init__(self, site: Routes | None = None, host: str = "127.0.0.1", port: int = 0) -> None:
        self.connections = _Connections(_CONNECTIONS)
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        # Windows would let two servers share a port.
        self.allow_reuse_address = sys.platform != "win32"
        try:
            super().__init__((host, port), _Handler)
        except OSError as error:
            raise OSError(
                f"cannot listen on port {port} of {host} ({error.strerror}): end what listens "
                "there, or name another port, --port 0 for any free one, or another --host"
            ) from error
        if site is not None:
            self.site = site
        self.local = _is_loopback(host)

    @property
    def url(self) -> str:
        """Address of the page."""
        host, port = self.server_address[:2]
        bracketed = f"[{host!s}]" if self.address_family == socket.AF_INET6 else f"{host!s}"
        return f"http://{bracketed}:{port}/"

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a connection in a thread of its own, once there is room for it."""
        self.connections.enter()
        try:
            super().process_request(request, client_address)
        except BaseException:  # such as a system that gives no more threads
            self.connections.leave()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, then make room for another one."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self.connections.leave()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore browsers that disconnected before their answer; report all other errors."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Connections:
    """Counts open connections, and closes idle ones where others wait.

    Args:
        limit: How many may be open at a time.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open = 0
        # Answered connections without a new request, the longest idle first.
        self._idle: dict[int, socket.socket] = {}
        self._changed = Condition()

    def enter(self) -> None:
        """Wait until there is room for another connection, and count it."""
        with self._changed:
            while self._open >= self._limit:
                self._close_longest_idle()
                self._changed.wait()
            self._open += 1

    def leave(self) -> None:
        """Count a connection as closed."""
        with self._changed:
            self._open -= 1
            self._changed.notify()

    @contextmanager
    def idle(self, connection: socket.socket) -> Iterator[None]:
        """Mark a connection as one that may be closed while the block runs."""
        with self._changed:
            self._idle[id(connection)] = connection
            self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._idle.pop(id(connection), None)

    def _close_longest_idle(self) -> None:
        if self._idle:
            connection = self._idle.pop(next(iter(self._idle)))
            # Only the receiving side: a request that came in the same moment is still answered.
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RD)


class _Handler(BaseHTTPRequestHandler):
    server: ViewerServer
    rfile: BufferedReader
    timeout = _TIMEOUT
    # A small packet is sent at once instead of waiting for the receipt of the previous one (Nagle),
    # which a browser delays by 40 ms; the buffer puts head and body of an answer into one packet.
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    protocol_version = "HTTP/1.1"
    server_version = "clipnav"

    def handle(self) -> None:
        """Answer requests until the browser leaves, or its place is needed."""
        self.close_connection = True
        self.handle_one_request()
        while not self.close_connection and self._has_more():
            self.handle_one_request()

    def _has_more(self) -> bool:
        try:
            with self.server.connections.idle(self.connection):
                return bool(self.rfile.peek(1))
        except TimeoutError:
            return False

    def do_GET(self) -> None:
        self._respond(lambda path, query: self.server.site.get(path, query))

    def do_POST(self) -> None:
        self._respond(lambda path, _: self.server.site.post(path, self._body()))

    def _respond(self, answer: Any) -> None:
        try:
            self._check_host()
            parts = urlsplit(self.path)
            self._send(answer(parts.path, dict(parse_qsl(parts.query))))
        except RequestError as error:
            self._refuse(error.status, str(error))
        except ConnectionError:
            raise  # the browser has closed the connection
        except Exception as error:
            _LOG.exception("while answering %s", self.path)
            self._refuse(500, f"something went wrong here: {error}")

    def _check_host(self) -> None:
        """Reject requests with a foreign Host header (DNS rebinding)."""
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        if self.server.local and not _is_loopback(host):
            raise RequestError(403, f"this server is for this machine only, not for {host!r}")

    def _body(self) -> dict[str, Any]:
        # Pages of other origins cannot send this type without a CORS preflight request.
        if self.headers.get_content_type() != "application/json":
            raise RequestError(415, "the body must be application/json")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise RequestError(411, "the length of the body is missing")
        if int(length) > _LARGEST_BODY:
            raise RequestError(413, f"the body is longer than {_LARGEST_BODY} bytes")
        try:
            body = parse_json(self.rfile.read(int(length)), "the body", "send a JSON object")
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


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
