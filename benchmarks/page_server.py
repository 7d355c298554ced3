"""Latency of the viewer's server, compared with a server that echoes bytes.

Many requests are sent over one connection (keep-alive), then many connections are opened at once.
Wall-clock times are measured, because the possible delay is waiting.
"""

import dataclasses
import re
import socket
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import tyro
from measuring import BenchmarkConfig, Figure, report

from clipnav.envs.pictures.panorama_files import NoPictures
from clipnav.envs.worlds import world_files
from clipnav.viewer.site.library import Library
from clipnav.viewer.site.manual_walks import ManualWalks
from clipnav.viewer.site.routes import SiteRoutes
from clipnav.viewer.site.server import ViewerServer

_REQUEST = b"GET /api/site HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass(frozen=True)
class ServerConfig(BenchmarkConfig):
    """Measure the latency of the viewer's server."""

    requests: int = 2000
    """Number of requests over one connection."""
    connections: int = 500
    """Number of connections opened at once."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(ServerConfig)
    if config.quick:
        config = dataclasses.replace(config, requests=5, connections=5)
    with TemporaryDirectory() as folder:
        report("page_server", _figures(config, Path(folder)), config.json)


def _figures(config: ServerConfig, folder: Path) -> list[Figure]:
    library = Library(world_files("houses"), "r2r")
    site = SiteRoutes(library, NoPictures("none"), ManualWalks(library, folder))
    with ViewerServer(site) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        address = "127.0.0.1", int(server.server_address[1])
        keep_alive = _keep_alive_seconds(address, config.requests)

        # Measure the seconds until `count` simultaneous connections have their responses.
        def request_all() -> None:
            connections = [socket.create_connection(address) for _ in range(config.connections)]
            for connection in connections:
                connection.sendall(_REQUEST)
            for connection in connections:
                _receive_response(connection)
                connection.close()

        simultaneous = _seconds(request_all)
        server.shutdown()
        thread.join()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_echo, args=(listener,), daemon=True).start()
        echo = _keep_alive_seconds(listener.getsockname(), config.requests)
    return [
        Figure("request over a keep-alive connection", 1000 * keep_alive, "ms"),
        Figure("echo of the same bytes", 1000 * echo, "ms"),
        Figure("request relative to echo", keep_alive / echo, "times"),
        Figure(f"{config.connections} simultaneous connections", 1000 * simultaneous, "ms in all"),
    ]


def _keep_alive_seconds(address: tuple[str, int], requests: int) -> float:
    """Measure the median seconds from a request to its complete response, over one connection."""
    with socket.create_connection(address) as connection:

        def request() -> None:
            connection.sendall(_REQUEST)
            _receive_response(connection)

        request()
        return statistics.median(_seconds(request) for _ in range(requests))


def _receive_response(connection: socket.socket) -> bytes:
    response = b""
    while True:
        head, separator, body = response.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        if separator and len(body) >= (int(length[1]) if length else 0):
            return response
        received = connection.recv(1 << 16)
        if not received:
            raise ConnectionError(f"the response ends after {len(response)} bytes")
        response += received


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _echo(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := connection.recv(1 << 16):
            connection.sendall(data)


if __name__ == "__main__":
    main()
