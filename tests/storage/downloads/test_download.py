import hashlib
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from clipnav.storage.downloads import ATTEMPTS, DownloadError, fetch

CONTENT = bytes(range(256)) * 40
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def get(site, tmp_path):
    """Return a function that downloads a file with an ETag."""
    site.files["data.bin"] = CONTENT
    site.tags["data.bin"] = '"one"'

    def get(sha256=None, name="data.bin"):
        return fetch(f"{site.url}/{name}", tmp_path / "in" / name, sha256, bar=False, pause=0)

    return get


def test_a_broken_connection_is_resumed(site, get, tmp_path):
    site.cut["data.bin"] = 4_000
    assert get(SHA256) == SHA256
    ranges = [None, "bytes=4000-", "bytes=8000-"]
    assert site.requests == [("data.bin", requested) for requested in ranges]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["data.bin"]


def test_a_later_call_resumes_a_failed_one(site, get, tmp_path):
    site.cut["data.bin"] = 1_000
    with pytest.raises(DownloadError, match=r"5 attempts .* after 5,000 of 10,240 bytes; run"):
        get()
    assert len(site.requests) == ATTEMPTS
    assert not (tmp_path / "in" / "data.bin").exists()
    site.cut.clear()
    assert get() == SHA256
    assert site.requests[ATTEMPTS:] == [("data.bin", "bytes=5000-")]


def test_a_changed_file_is_downloaded_from_the_start(site, get, tmp_path):
    site.cut["data.bin"] = 1_000
    with pytest.raises(DownloadError):
        get()
    site.cut.clear()
    site.files["data.bin"], site.tags["data.bin"] = CONTENT[::-1], '"two"'
    assert get() == hashlib.sha256(CONTENT[::-1]).hexdigest()


@pytest.mark.parametrize("trouble", ["no ranges", "no tag", "weak tag"])
def test_a_download_that_cannot_resume_starts_again(site, get, trouble):
    site.cut["data.bin"] = 6_000
    if trouble == "no ranges":
        site.ranges = False
    else:
        site.tags["data.bin"] = 'W/"one"' if trouble == "weak tag" else None
    with pytest.raises(DownloadError, match="6,000 of 10,240 bytes"):
        get()
    site.cut.clear()
    assert get() == SHA256


def test_a_complete_partial_file_is_not_downloaded_again(site, get, tmp_path):
    # Killed after the last byte, before the file was named.
    partial = tmp_path / "in" / "data.bin.partial"
    partial.parent.mkdir()
    partial.write_bytes(CONTENT)
    partial.with_name("data.bin.partial-version").write_text('10240 "one"')
    assert get(SHA256) == SHA256
    assert not site.requests
    assert [path.name for path in partial.parent.iterdir()] == ["data.bin"]


def test_a_wrong_checksum_leaves_no_file(site, get, tmp_path):
    with pytest.raises(DownloadError, match=f"SHA-256 is {SHA256}, but {'0' * 64} was expected"):
        get("0" * 64)
    assert not list((tmp_path / "in").iterdir())
    (tmp_path / "in" / "data.bin").write_text("mine")
    with pytest.raises(DownloadError):
        get("0" * 64)
    assert (tmp_path / "in" / "data.bin").read_text() == "mine"


def test_an_unreachable_server_is_an_error(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but not listening
        address = f"http://127.0.0.1:{taken.getsockname()[1]}/data.bin"
        with pytest.raises(DownloadError, match=r"cannot be reached .*refused") as failed:
            fetch(address, tmp_path / "data.bin", bar=False)
    assert failed.value.unreachable
    assert not list(tmp_path.iterdir())


def test_a_file_larger_than_the_free_disk_is_refused(get, monkeypatch, tmp_path):
    usage = type("Usage", (), {"free": 1_000})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(DownloadError, match=r"10,240 bytes are missing, but only 1,000 are free"):
        get()


def test_two_callers_download_a_file_once(site, get, tmp_path, monkeypatch):
    second_waits = threading.Event()

    def read_holder(_):  # of the lock that the second caller waits for
        second_waits.set()
        return str(os.getpid()), socket.gethostname()

    monkeypatch.setattr("clipnav.storage.locks._read_holder", read_holder)

    def when_the_second_waits(handler, content, tag, start):
        assert second_waits.wait(60)
        handler.send_file(content, tag, start)

    site.faults = [when_the_second_waits]
    with ThreadPoolExecutor() as pool:
        assert {future.result() for future in [pool.submit(get) for _ in range(2)]} == {SHA256}
    assert len(site.requests) == 1
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["data.bin"]


def test_an_interrupt_keeps_received_bytes(site, get, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("clipnav.storage.downloads.tqdm.update", interrupt)
        patched.setattr("clipnav.storage.downloads._CHUNK", 4_000)
        with pytest.raises(KeyboardInterrupt):
            get()
    assert (tmp_path / "in" / "data.bin.partial").read_bytes() == CONTENT[:4_000]
    assert get() == SHA256
    assert site.requests[1:] == [("data.bin", "bytes=4000-")]
