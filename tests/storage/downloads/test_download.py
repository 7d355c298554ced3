"""Every failure of a server leads to the correct file or to one clear error."""

import gzip
import hashlib
import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from clipnav.storage.downloads import ATTEMPTS, DownloadError, fetch
from tests.storage.downloads.faults import (
    CONTENT,
    FINAL,
    OTHER,
    SIZE,
    TAG,
    TRANSIENT,
    TRANSIENT_LATER,
    chunks,
    of_unknown_length,
    part,
    short_200,
    status,
    unrequested_part,
)

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


@pytest.fixture
def get_soon(site, tmp_path, monkeypatch):
    """Return a function that downloads a file without waits between attempts."""
    site.files["data.bin"], site.tags["data.bin"] = CONTENT, TAG
    monkeypatch.setattr("clipnav.storage.downloads._TIMEOUT", 0.2)

    def get_soon(sha256=None):
        return fetch(f"{site.url}/data.bin", tmp_path / "data.bin", sha256, bar=False, pause=0)

    return get_soon


def only_the_file(folder):
    return [path.name for path in folder.iterdir()] == ["data.bin"] and (
        (folder / "data.bin").read_bytes() == CONTENT
    )


@pytest.mark.parametrize("name", TRANSIENT)
def test_transient_failures_are_retried(site, get_soon, tmp_path, name):
    site.faults = [TRANSIENT[name]]
    assert get_soon() == hashlib.sha256(CONTENT).hexdigest()
    assert only_the_file(tmp_path)
    assert len(site.requests) == 2


@pytest.mark.parametrize("name", ["503", "416 at first", "reset", "garbage", "stalled"])
def test_persistent_failures_are_one_clear_error(site, get_soon, tmp_path, name):
    site.always = TRANSIENT[name]
    with pytest.raises(DownloadError, match="run the same command again to resume") as failed:
        get_soon()
    assert "\n" not in str(failed.value)
    assert len(site.requests) == ATTEMPTS
    assert not (tmp_path / "data.bin").exists()
    site.always = None
    get_soon()
    assert only_the_file(tmp_path)


@pytest.mark.parametrize("name", TRANSIENT_LATER)
def test_failures_while_resuming_are_retried(site, get_soon, tmp_path, name):
    site.faults = [short_200, TRANSIENT_LATER[name]]
    assert get_soon() == hashlib.sha256(CONTENT).hexdigest()
    assert only_the_file(tmp_path)
    assert site.requests[1] == ("data.bin", "bytes=5000-")


@pytest.mark.parametrize("name", FINAL)
def test_final_refusals_are_not_retried(site, get_soon, tmp_path, name):
    site.always, message = FINAL[name]
    with pytest.raises(DownloadError, match=message) as failed:
        get_soon()
    assert "\n" not in str(failed.value)
    assert not failed.value.unreachable
    assert not list(tmp_path.iterdir())
    if name != "redirects in a circle":
        assert len(site.requests) == 1


def test_a_partial_response_with_the_whole_file_is_accepted(site, get_soon, tmp_path):
    site.faults = [
        lambda h, content, tag, _: h.respond(206, {**part(0, SIZE), "ETag": tag}, CONTENT)
    ]
    get_soon()
    assert only_the_file(tmp_path)
    site.faults = [unrequested_part]
    get_soon()
    assert only_the_file(tmp_path)


def test_complete_chunked_responses_are_accepted(site, get_soon, tmp_path):
    site.always = chunks((0, 4000), (4000, SIZE))
    get_soon()
    assert only_the_file(tmp_path)


def test_an_unknown_length_is_accepted_with_a_digest(site, get_soon, tmp_path):
    site.always = lambda h, content, tag, _: h.respond(200, {"Content-Length": None}, content)
    get_soon(hashlib.sha256(CONTENT).hexdigest())
    assert only_the_file(tmp_path)
    site.always = of_unknown_length
    with pytest.raises(DownloadError, match="was expected"):
        get_soon(hashlib.sha256(CONTENT).hexdigest())
    assert only_the_file(tmp_path)


def test_a_gzip_file_declared_as_encoded_is_not_unpacked(site, tmp_path):
    packed = gzip.compress(CONTENT)
    site.files["data.gz"] = packed
    site.always = lambda h, content, tag, _: h.respond(200, {"Content-Encoding": "x-gzip"}, content)
    fetch(f"{site.url}/data.gz", tmp_path / "data.gz", bar=False)
    assert (tmp_path / "data.gz").read_bytes() == packed


def test_versions_without_an_etag_are_compared_by_date(site, get_soon, tmp_path):
    date, later = "Fri, 01 Jan 2021 00:00:00 GMT", "Sat, 02 Jan 2021 00:00:00 GMT"

    def first(handler, content, tag, start):
        handler.respond(200, {"Content-Length": SIZE, "Last-Modified": date}, content[:5000])

    def rest_of(content, headers):
        def fault(handler, *_):
            assert handler.headers["If-Range"] == date
            handler.respond(206, {**part(5000, SIZE), **headers}, content[5000:])

        return fault

    site.faults = [first, rest_of(CONTENT, {})]
    get_soon()
    assert only_the_file(tmp_path)
    site.faults = [first, rest_of(OTHER, {"Last-Modified": later})]
    get_soon()
    assert only_the_file(tmp_path)


def test_waits_double_and_respect_retry_after(site, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr("clipnav.storage.downloads.time.sleep", waits.append)
    site.files["data.bin"] = CONTENT
    site.faults = [status(503), status(503), status(429, Retry_After="7"), status(500)]
    fetch(f"{site.url}/data.bin", tmp_path / "data.bin", bar=False)
    assert waits == [1, 2, 7, 8]


def test_a_long_requested_wait_is_an_error(site, get_soon):
    site.always = status(503, Retry_After="7200")
    with pytest.raises(DownloadError, match="requests a wait of 7200 s; then run the same"):
        get_soon()
    assert len(site.requests) == 1


def test_progress_allows_more_attempts(site, tmp_path, monkeypatch):
    monkeypatch.setattr("clipnav.storage.downloads._CHUNK", 1000)
    site.files["data.bin"], site.tags["data.bin"] = CONTENT, TAG
    site.cut["data.bin"] = 1000
    fetch(f"{site.url}/data.bin", tmp_path / "data.bin", bar=False, pause=0)
    assert only_the_file(tmp_path)
    assert len(site.requests) == 11
