import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from storage import cache_dir, file_sha256, write_text, written_whole


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    with written_whole(path) as beside:
        assert beside.suffix == ".png"
        beside.write_bytes(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def fail_half_way(path: Path) -> None:
    with written_whole(path) as beside:
        beside.write_text("half")
        raise OSError("no space left")


def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("old")
    with pytest.raises(OSError, match="no space"):
        fail_half_way(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_was_writing_goes(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from storage import written_whole
with written_whole(sys.argv[1]) as beside:
    beside.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "a.txt"
    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    living = left.with_name(left.name.replace(f"-{_number(left)}.", f"-{os.getppid()}."))
    living.write_text("somebody is at it")
    write_text(path, "whole")
    assert sorted(tmp_path.iterdir()) == sorted([living, path])


def _number(path: Path) -> str:
    return path.name.split(".writing")[0].rpartition("-")[2]


def test_text_is_utf_8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "सीढ़ी\n")
    assert (tmp_path / "a.txt").read_bytes().decode("utf-8") == "सीढ़ी\n"


def test_a_missing_folder_is_made(tmp_path: Path) -> None:
    path = tmp_path / "made" / "too" / "text.txt"
    write_text(path, "here")
    assert path.read_text(encoding="utf-8") == "here"


def test_digest_is_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert file_sha256(tmp_path / "a") == hashlib.sha256(b"abc").hexdigest()


def test_the_cache_can_be_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path
    monkeypatch.delenv("CLIPNAV_CACHE")
    assert cache_dir() == Path.home() / ".cache" / "clipnav"


def test_files_have_the_usual_permissions(tmp_path: Path):
    """safetensors, among others, makes files that nobody else may read."""
    usual = tmp_path / "usual"
    usual.touch()
    with written_whole(tmp_path / "file") as beside:
        beside.unlink()
        beside.touch(mode=0o600)
    assert (tmp_path / "file").stat().st_mode == usual.stat().st_mode
