"""How the server treats connections, seen from raw sockets."""

import socket
import threading

import pytest

from envs.pictures.panorama_files import NoPictures
from envs.worlds import world_files
from viewer.site import server as server_module
from viewer.site.library import Library
from viewer.site.manual_walks import ManualWalks
from viewer.site.routes import STATIC, Routes
from viewer.site.server import ViewerServer

REQUEST = b"GET /static/elements.js HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@pytest.fixture
def site(tiny_world, tmp_path):
    library = Library(world_files("matterport", tiny_world), "r2r")
    return Routes(library, NoPictures("none"), ManualWalks(library, tmp_path))


@pytest.fixture
def server(site):
    with ViewerServer(site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
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


def test_500_connections_opened_at_once_are_all_answered(server):
    connections = [connect(server) for _ in range(500)]
    for connection in connections:
        connection.sendall(REQUEST)
    expected = (200, (STATIC / "elements.js").read_bytes())
    assert all(answer(connection) == expected for connection in connections)
    for connection in connections:
        connection.close()


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
    assert max(counts) <= before + server_module._CONNECTIONS
    for connection in connections:
        connection.close()


def test_a_connection_is_kept_for_many_requests(server):
    with connect(server) as connection:
        for _ in range(20):
            connection.sendall(REQUEST)
            assert answer(connection)[0] == 200


def test_requests_sent_without_waiting_are_answered_in_order(server):
    with connect(server) as connection:
        connection.sendall(REQUEST + REQUEST.replace(b"elements.js", b"none.js"))
        assert answer(connection)[0] == 200
        assert answer(connection)[0] == 404


def test_an_answer_is_one_packet_that_does_not_wait(server, monkeypatch):
    seen = []
    original = server_module._Handler._send

    def watched(handler, content):
        seen.append(handler.connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        original(handler, content)

    monkeypatch.setattr(server_module._Handler, "_send", watched)
    with connect(server) as connection:
        connection.sendall(REQUEST)
        while not (received := connection.recv(1 << 16, socket.MSG_PEEK)):
            pass
    assert seen == [1]
    # Head and body came together.
    assert received.endswith((STATIC / "elements.js").read_bytes())


def test_idle_connections_make_room_and_new_ones_do_not(site, monkeypatch):
    monkeypatch.setattr(server_module, "_CONNECTIONS", 2)
    with ViewerServer(site) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        with connect(server) as fresh, connect(server) as idle, connect(server) as late:
            idle.sendall(REQUEST)
            assert answer(idle)[0] == 200
            late.sendall(REQUEST)
            assert answer(late)[0] == 200
            # The one that had been answered was closed; the one that had sent nothing was not.
            assert idle.recv(1) == b""
            fresh.sendall(REQUEST)
            assert answer(fresh)[0] == 200
        server.shutdown()
        thread.join()


def test_a_connection_that_sends_nothing_is_closed(server, monkeypatch):
    monkeypatch.setattr(server_module._Handler, "timeout", 0.05)
    with connect(server) as silent, connect(server) as answered:
        answered.sendall(REQUEST)
        assert answer(answered)[0] == 200
        assert silent.recv(1) == b""
        assert answered.recv(1) == b""
