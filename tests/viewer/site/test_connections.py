"""How the server treats connections, seen from raw sockets."""

import select
import socket
import threading
from contextlib import suppress

import pytest

from clipnav.envs.pictures.panorama_files import NoPictures
from clipnav.envs.worlds import world_files
from clipnav.viewer.site import server as server_module
from clipnav.viewer.site.library import Library
from clipnav.viewer.site.manual_walks import ManualWalks
from clipnav.viewer.site.routes import Answer, SiteRoutes
from clipnav.viewer.site.server import ViewerServer

REQUEST = b"GET /static/elements.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture
def site(tiny_world, tmp_path):
    library = Library(world_files("matterport", tiny_world), "r2r")
    return SiteRoutes(library, NoPictures("none"), ManualWalks(library, tmp_path))


@pytest.fixture
def server(site):
    with ViewerServer(site) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def connect(server):
    return socket.create_connection(server.server_address[:2], timeout=60)


def answer(connection):
    """Status and body of one answer; what follows stays in the connection."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            raise EOFError(head)
        head += byte
    lines = head.decode().splitlines()
    lengths = [line.split(": ")[1] for line in lines if line.startswith("Content-Length")]
    body = b""
    while len(body) < int(lengths[0]):
        body += connection.recv(int(lengths[0]) - len(body))
    return int(lines[0].split()[1]), body


def test_threads_are_bounded(server, site, monkeypatch):
    counts, seen = [], threading.Lock()

    def counting(query):
        with seen:
            counts.append(sum(t.name.startswith("Thread-") for t in threading.enumerate()))
        return site._site(query)

    monkeypatch.setitem(site._gets, "/api/site", counting)
    before = threading.active_count()
    connections = [connect(server) for _ in range(200)]
    for connection in connections:
        connection.sendall(REQUEST.replace(b"/static/elements.js", b"/api/site"))
    assert all(answer(connection)[0] == 200 for connection in connections)
    assert len(counts) == 200
    assert max(counts) <= before + server_module._THREADS
    for connection in connections:
        connection.close()


def test_requests_sent_without_waiting_are_answered_in_order(server):
    with connect(server) as connection:
        connection.sendall(REQUEST + REQUEST.replace(b"elements.js", b"none.js"))
        assert answer(connection)[0] == 200
        assert answer(connection)[0] == 404


@pytest.mark.parametrize("sent", [b"", b"GET /static/ele"])
def test_connections_that_wait_longest_make_room(server, monkeypatch, sent):
    monkeypatch.setattr(server_module, "_CONNECTIONS", 20)
    answered = connect(server)
    answered.sendall(REQUEST)
    assert answer(answered)[0] == 200
    waiting = [connect(server) for _ in range(60)]
    for connection in waiting:
        with suppress(ConnectionError):
            connection.sendall(sent)
    with connect(server) as late:
        late.sendall(REQUEST)
        assert answer(late)[0] == 200
    for connection in (answered, *waiting[:40]):
        with suppress(ConnectionError):
            assert connection.recv(1) == b""
    waiting[-1].sendall(REQUEST.removeprefix(sent))
    assert answer(waiting[-1])[0] == 200
    for connection in (answered, *waiting):
        connection.close()


def test_slow_connections_take_no_thread(server, monkeypatch):
    monkeypatch.setattr(server_module, "_TIMEOUT", 600)
    before = threading.active_count()
    slow = [connect(server) for _ in range(300)]
    for connection in slow:
        connection.sendall(REQUEST[:20])
    with connect(server) as late:
        late.sendall(REQUEST)
        assert answer(late)[0] == 200
    assert threading.active_count() <= before + 1
    for connection in slow:
        connection.close()


def test_a_connection_that_drips_or_sends_nothing_is_closed(server, monkeypatch):
    monkeypatch.setattr(server_module, "_TIMEOUT", 0.5)
    with connect(server) as silent, connect(server) as answered, connect(server) as dripping:
        answered.sendall(REQUEST)
        assert answer(answered)[0] == 200
        # Until the server closes it, which it never does if each byte begins a new time.
        with suppress(ConnectionError):
            while select.select([dripping], [], [], 0.02)[0] == []:
                dripping.sendall(b"x")
        assert silent.recv(1) == b""
        assert answered.recv(1) == b""


def test_a_browser_that_never_reads_its_answer_is_closed(server, site, monkeypatch):
    monkeypatch.setattr(server_module, "_TIMEOUT", 0.5)
    large = Answer(b"x" * (1 << 24))
    monkeypatch.setitem(site._gets, "/api/site", lambda query: large)
    with connect(server) as connection:
        connection.sendall(REQUEST.replace(b"/static/elements.js", b"/api/site"))
        while server._open or server._waiting:
            pass


def test_a_head_without_end_is_closed(server):
    with connect(server) as connection, suppress(ConnectionError):
        connection.sendall(b"GET /" + b"x" * 300_000)
        assert connection.recv(1) == b""


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("GET / HTTP/1.1\r\nHost: [", 400),
        ("GET //[ HTTP/1.1\r\nHost: localhost", 404),
        ("GET http://[/ HTTP/1.1\r\nHost: localhost", 400),
        ("POST /api/walk HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + "9" * 5000, 415),
        (
            "POST /api/walk HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            "Content-Length: " + "9" * 5000,
            413,
        ),
        ("PUT / HTTP/1.1\r\nHost: localhost", 501),
    ],
)
def test_malformed_requests_are_refused(server, caplog, line, status):
    with connect(server) as connection:
        connection.sendall(f"{line}\r\n\r\n".encode())
        assert answer(connection)[0] == status
        assert connection.recv(1) == b""
    assert caplog.records == []
