import socket
import threading

import pytest

from clipnav.storage.reachability import is_reachable


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)


def test_only_a_listening_host_is_reachable():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert is_reachable(f"http://127.0.0.1:{port}", 5)
    assert not is_reachable(f"http://127.0.0.1:{port}", 5)


def test_a_hanging_name_lookup_times_out(monkeypatch):
    release = threading.Event()

    def hang(*_):
        release.wait()
        raise OSError("given up")

    monkeypatch.setattr(socket, "create_connection", hang)
    assert not is_reachable("https://huggingface.co", 0.05)
    release.set()


def test_the_proxy_is_checked_instead_of_the_host(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.getsockname()[1]}")
        assert is_reachable("https://nowhere.invalid", 5)
