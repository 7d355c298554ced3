"""Every failure of a server leads to the correct file or to one clear error."""

import gzip
import hashlib

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


@pytest.fixture
def get(site, tmp_path, monkeypatch):
    """Return a function that downloads a file without waits between attempts."""
    site.files["data.bin"], site.tags["data.bin"] = CONTENT, TAG
    monkeypatch.setattr("clipnav.storage.downloads._TIMEOUT", 0.2)

    def get(sha256=None):
        return fetch(f"{site.url}/data.bin", tmp_path / "data.bin", sha256, bar=False, pause=0)

    return get


def only_the_file(folder):
    return [path.name for path in folder.iterdir()] == ["data.bin"] and (
        (folder / "data.bin").read_bytes() == CONTENT
    )


@pytest.mark.parametrize("name", TRANSIENT)
def test_transient_failures_are_retried(site, get, tmp_path, name):
    site.faults = [TRANSIENT[name]]
    assert get() == hashlib.sha256(CONTENT).hexdigest()
    assert only_the_file(tmp_path)
    assert len(site.requests) == 2


@pytest.mark.parametrize("name", ["503", "416 at first", "reset", "garbage", "stalled"])
def test_persistent_failures_are_one_clear_error(site, get, tmp_path, name):
    site.always = TRANSIENT[name]
    with pytest.raises(DownloadError, match="run the same command again to resume") as failed:
        get()
    assert "\n" not in str(failed.value)
    assert len(site.requests) == ATTEMPTS
    assert not (tmp_path / "data.bin").exists()
    site.always = None
    get()
    assert only_the_file(tmp_path)


@pytest.mark.parametrize("name", TRANSIENT_LATER)
def test_failures_while_resuming_are_retried(site, get, tmp_path, name):
    site.faults = [short_200, TRANSIENT_LATER[name]]
    assert get() == hashlib.sha256(CONTENT).hexdigest()
    assert only_the_file(tmp_path)
    assert site.requests[1] == ("data.bin", "bytes=5000-")


@pytest.mark.parametrize("name", FINAL)
def test_final_refusals_are_not_retried(site, get, tmp_path, name):
    site.always, message = FINAL[name]
    with pytest.raises(DownloadError, match=message) as failed:
        get()
    assert "\n" not in str(failed.value)
    assert not failed.value.unreachable
    assert not list(tmp_path.iterdir())
    if name != "redirects in a circle":
        assert len(site.requests) == 1


def test_a_partial_response_with_the_whole_file_is_accepted(site, get, tmp_path):
    site.faults = [
        lambda h, content, tag, _: h.respond(206, {**part(0, SIZE), "ETag": tag}, CONTENT)
    ]
    get()
    assert only_the_file(tmp_path)
    site.faults = [unrequested_part]
    get()
    assert only_the_file(tmp_path)


def test_complete_chunked_responses_are_accepted(site, get, tmp_path):
    site.always = chunks((0, 4000), (4000, SIZE))
    get()
    assert only_the_file(tmp_path)


def test_an_unknown_length_is_accepted_with_a_digest(site, get, tmp_path):
    site.always = lambda h, content, tag, _: h.respond(200, {"Content-Length": None}, content)
    get(hashlib.sha256(CONTENT).hexdigest())
    assert only_the_file(tmp_path)
    site.always = of_unknown_length
    with pytest.raises(DownloadError, match="was expected"):
        get(hashlib.sha256(CONTENT).hexdigest())
    assert only_the_file(tmp_path)


def test_a_gzip_file_declared_as_encoded_is_not_unpacked(site, tmp_path):
    packed = gzip.compress(CONTENT)
    site.files["data.gz"] = packed
    site.always = lambda h, content, tag, _: h.respond(200, {"Content-Encoding": "x-gzip"}, content)
    fetch(f"{site.url}/data.gz", tmp_path / "data.gz", bar=False)
    assert (tmp_path / "data.gz").read_bytes() == packed


def test_versions_without_an_etag_are_compared_by_date(site, get, tmp_path):
    date, later = "Fri, 01 Jan 2021 00:00:00 GMT", "Sat, 02 Jan 2021 00:00:00 GMT"

    def first(handler, content, tag, start):
        handler.respond(200, {"Content-Length": SIZE, "Last-Modified": date}, content[:5000])

    def rest_of(content, headers):
        def fault(handler, *_):
            assert handler.headers["If-Range"] == date
            handler.respond(206, {**part(5000, SIZE), **headers}, content[5000:])

        return fault

    site.faults = [first, rest_of(CONTENT, {})]
    get()
    assert only_the_file(tmp_path)
    site.faults = [first, rest_of(OTHER, {"Last-Modified": later})]
    get()
    assert only_the_file(tmp_path)


def test_waits_double_and_respect_retry_after(site, tmp_path, monkeypatch):
    waits = []
    monkeypatch.setattr("clipnav.storage.downloads.time.sleep", waits.append)
    site.files["data.bin"] = CONTENT
    site.faults = [status(503), status(503), status(429, Retry_After="7"), status(500)]
    fetch(f"{site.url}/data.bin", tmp_path / "data.bin", bar=False)
    assert waits == [1, 2, 7, 8]


def test_a_long_requested_wait_is_an_error(site, get):
    site.always = status(503, Retry_After="7200")
    with pytest.raises(DownloadError, match="requests a wait of 7200 s; then run the same"):
        get()
    assert len(site.requests) == 1


def test_progress_allows_more_attempts(site, tmp_path, monkeypatch):
    monkeypatch.setattr("clipnav.storage.downloads._CHUNK", 1000)
    site.files["data.bin"], site.tags["data.bin"] = CONTENT, TAG
    site.cut["data.bin"] = 1000
    fetch(f"{site.url}/data.bin", tmp_path / "data.bin", bar=False, pause=0)
    assert only_the_file(tmp_path)
    assert len(site.requests) == 11
