import contextlib
import functools
import hashlib
import http.server
import json
import shutil
import threading
import zipfile

import pytest
import requests

from clipnav.envs.real_data import Group, RemoteFile, catalogue, download, explain
from clipnav.envs.worlds import world_files
from clipnav.storage.downloads import unpack_zip
from clipnav.storage.locks import lock_path

DEAD = "http://127.0.0.1:9/data"  # the discard port, on which no server listens


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


@pytest.fixture
def address(tmp_path):
    """Address of a server for the folder `published`."""
    handler = functools.partial(Quiet, directory=tmp_path / "published")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def published(address, tmp_path, monkeypatch):
    """Replace the catalogue by a small one and return the folder that publishes its files."""
    folder = tmp_path / "published"
    folder.mkdir()
    (folder / "one.json").write_text("[1]")
    with zipfile.ZipFile(folder / "two.zip", "w") as archive:
        archive.writestr("in/two.txt", "2")
    digest = hashlib.sha256(b"[1]").hexdigest()
    groups = {
        "one": Group("", "", "", (RemoteFile(f"{address}/one.json", "a/one.json", digest),)),
        "two": Group(
            "", "", "", (RemoteFile(f"{address}/two.zip", "two.zip", unpacked="two"),), "Ask."
        ),
        "dead": Group("", "", "", tuple(RemoteFile(f"{DEAD}/{i}", f"dead/{i}") for i in "ab")),
    }
    monkeypatch.setattr("clipnav.envs.real_data.catalogue", lambda: groups)
    return folder


def test_files_are_downloaded_checked_and_unpacked(published, tmp_path, capsys):
    data = tmp_path / "data"
    assert download(["one", "two"], data, bar=False) == []
    assert (data / "a" / "one.json").read_text() == "[1]"
    assert (data / "two" / "in" / "two.txt").read_text() == "2"
    manifest = json.loads((data / "checksums.json").read_text())
    zipped = hashlib.sha256((published / "two.zip").read_bytes()).hexdigest()
    assert manifest["two.zip"]["sha256"] == zipped
    out = capsys.readouterr().out
    assert f"two.zip: SHA-256 {zipped}; its publisher gives none, so this file is trusted" in out
    assert "one.json" not in out
    for file in published.iterdir():
        file.unlink()
    assert download(["one", "two"], data, bar=False) == []
    assert not capsys.readouterr().out


def test_an_archive_is_unpacked_by_one_process(published, tmp_path, monkeypatch):
    data, calls = tmp_path / "data", []

    def unpack(archive, folder):
        calls.append(lock_path(folder).is_file())
        unpack_zip(archive, folder)

    @contextlib.contextmanager
    def wait_for_another(folder):
        unpack_zip(data / "two.zip", folder)
        yield

    monkeypatch.setattr("clipnav.envs.real_data.unpack_zip", unpack)
    assert download(["two"], data, bar=False) == []
    assert calls == [True]
    shutil.rmtree(data / "two")
    monkeypatch.setattr("clipnav.envs.real_data.waiting_lock", wait_for_another)
    assert download(["two"], data, bar=False) == []
    assert len(calls) == 1


def test_a_manually_downloaded_file_is_checked(published, tmp_path):
    data = tmp_path / "data"
    (data / "a").mkdir(parents=True)
    (data / "a" / "one.json").write_text("[2]")
    (failure,) = download(["one"], data, bar=False)
    assert failure.path == data / "a" / "one.json"
    assert "was expected" in failure.reason
    (data / "a" / "one.json").write_text("[1]")
    assert download(["one"], data, bar=False) == []


def test_a_changed_published_file_is_detected(published, tmp_path):
    data = tmp_path / "data"
    assert download(["two"], data, bar=False) == []
    (data / "two.zip").unlink()
    (published / "two.zip").write_bytes(b"other")
    (failure,) = download(["two"], data, bar=False)
    assert "is recorded in" in failure.reason


def test_failed_downloads_are_explained_and_the_rest_is_downloaded(published, tmp_path):
    data = tmp_path / "data"
    failures = download(["dead", "two", "one"], data, bar=False)
    assert (data / "a" / "one.json").exists()
    assert [failure.url for failure in failures] == [f"{DEAD}/a", f"{DEAD}/b"]
    text = explain(failures, ["dead", "two", "one"])
    for name in "ab":
        assert f"* {data / 'dead' / name}: the server cannot be reached" in text
        assert f"from {DEAD}/{name}\n" in text
    assert text.endswith("Ask.")
    with pytest.raises(ValueError, match="'three' is not one of one, two, dead"):
        download(["three"], data)


def test_an_unreachable_host_is_contacted_once(published, tmp_path, monkeypatch):
    requested = []

    def get(url, **_):
        requested.append(url)
        raise requests.ConnectionError("no network")

    monkeypatch.setattr("clipnav.storage.downloads.requests.get", get)
    assert len(download(["dead"], tmp_path / "data", bar=False)) == 2
    assert requested == [f"{DEAD}/a"]


def test_files_are_downloaded_to_the_paths_that_worlds_expect(tmp_path):
    paths = [file.path for group in catalogue().values() for file in group.files]
    assert len(paths) == len(set(paths))
    for path in paths:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    files = world_files("matterport", tmp_path)
    for split in ("train", "val_seen", "val_unseen", "test", "aug_paths"):
        files.annotations("r2r", split)
    guides = "train val_seen val_unseen test_standard test_challenge marky_train"
    for split in guides.split():
        files.annotations("rxr", split)
    for split in ("train", "val_seen", "val_unseen"):
        files.followers(split)


def test_the_catalogue_contains_the_graphs_of_the_90_buildings(shared, tmp_path):
    assert len(catalogue()["connectivity"].files) == 91
    (tmp_path / "matterport").symlink_to(shared / "data" / "matterport")
    assert download(["connectivity"], tmp_path, bar=False) == []
