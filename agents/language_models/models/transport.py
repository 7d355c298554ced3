"""HTTP requests with a deadline for the whole of each attempt.

Time-outs of HTTP libraries apply to single reads: a server that sends a byte per second is never
late. Here each attempt is a coroutine that is cancelled at its deadline, in connection, headers and
body alike. This is why the client is httpx, whose requests can be cancelled.

Compressed responses are refused: a few kilobytes can decode to gigabytes, and no deadline applies
while they are decoded.
"""

import asyncio
import os
import threading
from collections.abc import Mapping
from concurrent.futures import CancelledError
from typing import Any, NamedTuple

from clipnav.storage.errors import UserError, in_one_line, shortened
from clipnav.storage.extras import import_extra

_MOST_BYTES = 1 << 24  # of a response
_PROXIES = ("all_proxy", "https_proxy", "http_proxy", "no_proxy")  # httpx reads them in any case


class Response(NamedTuple):
    """Response of a server; status 0 for an attempt without one, whose content is the reason."""

    status: int
    headers: Mapping[str, str]
    content: bytes


class Transport:
    """Sends requests from any thread through one event loop in a thread of its own.

    Args:
        base_url: Address before the path of each request.
        key: API key, or "" for none; it is only sent to this address.
        connections: Largest number of connections.

    Raises:
        UserError: The client cannot read the address, or cannot use a proxy of the environment.
    """

    def __init__(self, base_url: str, key: str = "", connections: int = 8) -> None:
        self._httpx = import_extra("httpx", "language-models", "a language-model server")
        self._base = base_url.rstrip("/")
        self._check_address()
        self._headers = {"Accept-Encoding": "identity"}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        self._client = self._open(connections)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._guard, self._is_closed = threading.Lock(), False

    def post(self, path: str, body: Mapping[str, Any], seconds: float) -> Response:
        """Send a JSON body."""
        return self._response("POST", path, seconds, body)

    def get(self, path: str, seconds: float) -> Response:
        """Get a document."""
        return self._response("GET", path, seconds, None)

    def close(self) -> None:
        """Cancel requests and close connections; a second call has no effect."""
        with self._guard:
            if self._is_closed:
                return
            self._is_closed = True
            closing = asyncio.run_coroutine_threadsafe(self._close(), self._loop)
        closing.result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _response(self, method: str, path: str, seconds: float, body: Any) -> Response:
        try:
            return self._run(self._bounded(method, path, seconds, body))
        except CancelledError:
            return Response(0, {}, b"the request was cancelled")

    def _run(self, coroutine: Any) -> Any:
        with self._guard:
            if self._is_closed:  # nothing would ever end a request on the stopped loop
                coroutine.close()
                raise CancelledError
            future = asyncio.run_coroutine_threadsafe(coroutine, self._loop)
        return future.result()

    def _check_address(self) -> None:
        try:
            _ = self._httpx.URL(self._base).host
        except (ValueError, self._httpx.InvalidURL) as error:
            raise UserError(
                f"--url {shortened(self._base)}: not an address ({in_one_line(error)}); correct it"
            ) from error

    def _open(self, connections: int) -> Any:
        limits = self._httpx.Limits(max_connections=connections)
        try:
            return self._httpx.AsyncClient(headers=self._headers, limits=limits, timeout=None)
        except ImportError as error:
            raise UserError(
                f"{_proxy_settings()}: a SOCKS proxy requires another package; pip install "
                "'httpx[socks]', or unset the proxy"
            ) from error
        except (ValueError, self._httpx.InvalidURL) as error:
            raise UserError(
                f"{_proxy_settings()}: the proxy cannot be used ({in_one_line(error)}); correct or "
                "unset it"
            ) from error

    async def _close(self) -> None:
        requests = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for request in requests:
            request.cancel()
        # The threads of the requests wait for their ends, which need the loop.
        await asyncio.gather(*requests, return_exceptions=True)
        await self._client.aclose()

    async def _bounded(self, method: str, path: str, seconds: float, body: Any) -> Response:
        try:
            async with asyncio.timeout(seconds):
                return await self._send(method, path, body)
        except TimeoutError:
            return Response(0, {}, f"no complete answer within {seconds:g} s".encode())
        except self._httpx.TransportError as error:
            return Response(0, {}, in_one_line(error).encode())

    async def _send(self, method: str, path: str, body: Any) -> Response:
        url = f"{self._base}/{path}"
        async with self._client.stream(method, url, json=body) as response:
            encoding = response.headers.get("content-encoding", "identity")
            if encoding.lower() != "identity":
                reason = f"the server compresses its answer ({shortened(encoding)}) unasked"
                return Response(0, {}, reason.encode())
            content = bytearray()
            async for chunk in response.aiter_raw():
                content += chunk
                if len(content) > _MOST_BYTES:
                    reason = f"an answer of more than {_MOST_BYTES} bytes"
                    return Response(0, {}, reason.encode())
            return Response(response.status_code, response.headers, bytes(content))


def _proxy_settings() -> str:
    """Return the names of the environment variables that name proxies."""
    names = [name for name in os.environ if name.lower() in _PROXIES]
    return ", ".join(names) or "proxy of the system"
