"""How long the viewer's page waits for answers, beside a server that only sends bytes back.

One connection asks again and again (keep-alive), and then many connections are opened at once.
Times are of the wall, since what could be slow here is waiting.
"""

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
from measuring import Figure, report

from envs.worlds import world_files
from viewer.scene.pictures import NoPictures
from viewer.site.drives import Drives
from viewer.site.library import Library
from viewer.site.routes import Routes
from viewer.site.server import ViewerServer

_REQUEST = b"GET /api/site HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass(frozen=True)
class ServerConfig:
    """Time the answers of the page's server."""

    requests: int = 2000
    """Requests over one connection."""
    connections: int = 500
    """Connections opened at once."""
    quick: bool = False
    """Few of both, to see that it works."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(ServerConfig)
    if config.quick:
        config = ServerConfig(requests=5, connections=5, quick=True)
    with TemporaryDirectory() as folder:
        report("page_server", _figures(config, Path(folder)))


def _figures(config: ServerConfig, folder: Path) -> list[Figure]:
    library = Library(world_files("houses"), "r2r")
    site = Routes(library, NoPictures("none"), Drives(library, folder))
    with ViewerServer(site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = "127.0.0.1", int(server.server_address[1])
        kept = _kept(address, config.requests)
        many = _at_once(address, config.connections)
        server.shutdown()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_send_back, args=(listener,), daemon=True).start()
        echo = _kept(listener.getsockname(), config.requests)
    return [
        Figure("request over a kept connection", 1000 * kept, "ms"),
        Figure("the same bytes sent back", 1000 * echo, "ms"),
        Figure("request to sending back", kept / echo, "times"),
        Figure(f"{config.connections} connections opened at once", 1000 * many, "ms in all"),
    ]


def _kept(address: tuple[str, int], requests: int) -> float:
    """Median seconds of a request over one connection, until all of the answer is there."""
    with socket.create_connection(address) as connection:

        def ask() -> None:
            connection.sendall(_REQUEST)
            _whole_answer(connection)

        ask()
        return statistics.median(_seconds(ask) for _ in range(requests))


def _whole_answer(connection: socket.socket) -> bytes:
    answer = b""
    while True:
        head, ends, body = answer.partition(b"\r\n\r\n")
        length = re.search(rb"Content-Length: (\d+)", head)
        if ends and len(body) >= (int(length[1]) if length else 0):
            return answer
        received = connection.recv(1 << 16)
        if not received:
            raise ConnectionError(f"the answer ends after {len(answer)} bytes")
        answer += received


def _at_once(address: tuple[str, int], count: int) -> float:
    """Seconds until as many connections, all open together, have their answers."""

    def ask_all() -> None:
        connections = [socket.create_connection(address) for _ in range(count)]
        for connection in connections:
            connection.sendall(_REQUEST)
        for connection in connections:
            _whole_answer(connection)
            connection.close()

    return _seconds(ask_all)


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _send_back(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := connection.recv(1 << 16):
            connection.sendall(data)


if __name__ == "__main__":
    main()
