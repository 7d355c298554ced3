import errno
import hashlib
import json
import signal
import stat
import subprocess
import sys
import zipfile

import pytest

from clipnav.storage.downloads import Checksums, unpack_zip


@pytest.fixture
def pack(tmp_path):
    def pack(members):
        path = tmp_path / "archive.zip"
        with zipfile.ZipFile(path, "w") as archive:
            for member, text in members:
                archive.writestr(member, text)
        return path

    return pack


def test_members_are_unpacked_into_the_folder(pack, tmp_path):
    archive = pack([("RxR/a.jsonl", "a"), ("RxR/data/b.jsonl", "b"), ("RxR/empty/", "")])
    unpack_zip(archive, tmp_path / "out")
    files = {p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*")}
    assert files == {"RxR", "RxR/a.jsonl", "RxR/data", "RxR/data/b.jsonl", "RxR/empty"}
    assert (tmp_path / "out" / "RxR" / "data" / "b.jsonl").read_text() == "b"
    with pytest.raises(FileExistsError, match="out: exists"):
        unpack_zip(archive, tmp_path / "out")


@pytest.mark.parametrize(
    "name",
    ["../evil", "a/../../evil", "/evil", "C:/evil", "C:evil", "..\\evil", "\\\\host\\share\\evil"],
)
def test_members_outside_the_folder_are_refused(pack, tmp_path, name):
    archive = pack([("good", "x"), (name, "x")])
    with pytest.raises(ValueError, match=r"archive\.zip: member .*evil' would be written outside"):
        unpack_zip(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["archive.zip"]


def test_links_are_refused(pack, tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with pytest.raises(ValueError, match="member 'link' is a link"):
        unpack_zip(pack([(link, "/etc/passwd")]), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_damaged_archives_are_refused_and_leave_no_file(pack, tmp_path):
    archive = pack([("a", "some text"), ("b", "more text")])
    data = archive.read_bytes()
    for damaged in (b"", data[:40], data.replace(b"more text", b"more test")):
        archive.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"archive\.zip: cannot be unpacked .*download it"):
            unpack_zip(archive, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["archive.zip"]


def test_archives_larger_than_the_free_disk_are_refused(pack, tmp_path, monkeypatch):
    usage = type("Usage", (), {"free": 5})
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    with pytest.raises(ValueError, match="contains 9 bytes, but only 5 are free"):
        unpack_zip(pack([("a", "some text")]), tmp_path / "out")


def test_zip_bombs_are_refused(tmp_path):
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in "abc":
            archive.writestr(name, bytes(10_000_000))
    with pytest.raises(ValueError, match=r"bomb\.zip: would expand to 30,000,000 bytes, but 16,"):
        unpack_zip(path, tmp_path / "out")
    assert [one.name for one in tmp_path.iterdir()] == ["bomb.zip"]


def test_disk_errors_are_not_reported_as_damage(pack, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    archive = pack([("a", "some text")])
    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(OSError, match="No space left") as error:
        unpack_zip(archive, tmp_path / "out")
    assert "cannot be unpacked" not in str(error.value)


def test_what_a_killed_process_had_unpacked_is_deleted(pack, tmp_path):
    archive = pack([("a", "some text")])
    program = f"""
import os, signal
from pathlib import Path
from clipnav.storage import downloads
downloads.zipfile.ZipFile.extractall = lambda archive, folder: (
    Path(folder).mkdir(), (Path(folder) / "a").touch(), os.kill(os.getpid(), signal.SIGKILL))
downloads.unpack_zip(Path({str(archive)!r}), Path({str(tmp_path / "out.v1")!r}))
"""
    killed = subprocess.run([sys.executable, "-c", program], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert len(list(tmp_path.iterdir())) == 2
    unpack_zip(archive, tmp_path / "out")
    assert {path.name for path in tmp_path.iterdir()} == {"archive.zip", "out"}


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_changes_of_a_recorded_file_are_detected(tmp_path):
    file = tmp_path / "in" / "data.txt"
    file.parent.mkdir()
    file.write_text("first")
    checksums = Checksums(tmp_path)
    assert checksums.recorded("in/data.txt") is None
    assert checksums.check("in/data.txt", None, "http://x/data.txt") == sha256("first")
    again = Checksums(tmp_path)
    assert again.recorded("in/data.txt") == sha256("first")
    assert again.check("in/data.txt", None, "http://x/data.txt") == sha256("first")
    file.write_text("second")
    with pytest.raises(
        ValueError, match=r"data\.txt: .* is recorded in .*checksums\.json; .*delete its entry"
    ):
        again.check("in/data.txt", None, "http://x/data.txt")
    (tmp_path / "checksums.json").unlink()
    assert Checksums(tmp_path).check("in/data.txt", None, "") == sha256("second")


def test_a_known_checksum_takes_precedence(tmp_path):
    (tmp_path / "a").write_text("text")
    checksums = Checksums(tmp_path)
    with pytest.raises(ValueError, match=f"is {sha256('text')}, but {'1' * 64} was expected"):
        checksums.check("a", "1" * 64, "http://x/a")
    assert not checksums.path.exists()
    assert checksums.check("a", sha256("text"), "http://x/a") == sha256("text")
    entry = json.loads(checksums.path.read_text())["a"]
    assert entry == {"sha256": sha256("text"), "url": "http://x/a"}


def test_two_processes_keep_the_checksums_of_each_other(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    # Both have read the manifest before either adds a file.
    first, second = Checksums(tmp_path), Checksums(tmp_path)
    first.check("a", None, "http://x/a")
    second.check("b", None, "http://x/b")
    assert Checksums(tmp_path).recorded("a") == sha256("a")
    assert Checksums(tmp_path).recorded("b") == sha256("b")


@pytest.mark.parametrize("text", ["{", "[]", '{"a": {}}', '{"a": "b"}', "\xff"])
def test_a_damaged_manifest_is_refused(tmp_path, text):
    (tmp_path / "checksums.json").write_text(text, encoding="latin-1")
    with pytest.raises(ValueError, match=r"checksums\.json: .*; delete it"):
        Checksums(tmp_path)
