"""Locks of outputs: refusal, waiting and locks of dead processes."""

import errno
import fcntl
import os
import socket
import threading
from pathlib import Path

import pytest

from clipnav.storage.locks import (
    OutputInUseError,
    OutputLock,
    exclusive_lock,
    lock_path,
    waiting_lock,
)

WITHOUT_FLOCK = """
import errno, fcntl, os
def missing(*_):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
fcntl.flock = missing
"""


def test_the_error_of_a_second_process_names_the_first(tmp_path, locked_elsewhere):
    output = tmp_path / "store.safetensors"
    with locked_elsewhere(output) as other:
        with pytest.raises(OutputInUseError) as refused, exclusive_lock(output):
            pass
        assert str(output) in str(refused.value)
        assert f"process {other.pid} (on {socket.gethostname()}, since 2" in str(refused.value)
    with exclusive_lock(output):
        assert list(tmp_path.iterdir()) == [lock_path(output)]
    assert not list(tmp_path.iterdir())


def test_all_paths_of_a_folder_share_one_lock(tmp_path, locked_elsewhere):
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "same").symlink_to(run)
    with (
        locked_elsewhere(run),
        pytest.raises(OutputInUseError, match="same: process"),
        exclusive_lock(tmp_path / "same"),
    ):
        pass


@pytest.mark.parametrize("prelude", ["", WITHOUT_FLOCK])
def test_the_lock_of_a_killed_process_is_free(tmp_path, locked_elsewhere, prelude):
    output = tmp_path / "run"
    with locked_elsewhere(output, prelude=prelude) as other:
        other.kill()
        other.wait()
    assert lock_path(output).read_text()
    with locked_elsewhere(output, prelude=prelude):
        assert lock_path(output).exists()
    assert not list(tmp_path.iterdir())


def test_without_flock_the_error_names_a_running_holder(tmp_path, locked_elsewhere, monkeypatch):
    def missing(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    output = tmp_path / "run"
    with locked_elsewhere(output, prelude=WITHOUT_FLOCK) as other:
        monkeypatch.setattr(fcntl, "flock", missing)
        lock = OutputLock(output)
        with (
            pytest.warns(UserWarning, match="flock not supported"),
            pytest.raises(OutputInUseError, match=rf"process {other.pid} \(on"),
        ):
            lock.acquire()


@pytest.mark.parametrize("locked", [exclusive_lock, waiting_lock])
def test_a_file_system_that_gives_no_locks_is_named(tmp_path, monkeypatch, locked):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)
    problem = r"run\.lock: its file system gives no locks \(No locks available\); write to a local"
    with pytest.raises(OSError, match=problem), locked(tmp_path / "run"):
        pass


def test_the_error_about_another_host_contains_the_remedy(tmp_path, locked_elsewhere):
    output = tmp_path / "run"
    with locked_elsewhere(output):
        lock_path(output).write_text("7\nelsewhere\n")
        with pytest.raises(OutputInUseError, match=r"process 7 \(on elsewhere.*delete .*run\.lock"):
            OutputLock(output).acquire()


def test_a_process_may_acquire_its_lock_again(tmp_path):
    output = tmp_path / "run"
    with exclusive_lock(output):
        os.utime(lock_path(output), (1, 1))
        with exclusive_lock(output, output):
            assert lock_path(output).stat().st_mtime == 1, "when this process took it first"
        assert lock_path(output).exists()
    assert not lock_path(output).exists()


def test_a_lock_works_on_a_full_disk(tmp_path, locked_elsewhere):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"
    output = tmp_path / "run"
    with (
        locked_elsewhere(output, prelude=limit),
        pytest.raises(OutputInUseError, match="run: another process is writing it"),
        exclusive_lock(output),
    ):
        pass


def test_a_lock_is_released_where_open_files_cannot_be_deleted(tmp_path, monkeypatch):
    def refuse(path, missing_ok=False):
        raise PermissionError(errno.EACCES, "The process cannot access the file", str(path))

    monkeypatch.setattr(Path, "unlink", refuse)  # as Windows
    output = tmp_path / "store.safetensors"
    with exclusive_lock(output):
        pass
    with waiting_lock(output):
        pass


def test_makers_of_one_entry_wait_for_each_other(tmp_path, locked_elsewhere, waiting_messages):
    """This holds for processes and threads; each finds the entry that an earlier one made."""
    entry = tmp_path / "entry"
    made = []

    def make():
        with waiting_lock(entry):
            found = entry.exists()
            entry.touch()
            made.append(found)

    with locked_elsewhere(entry, "waiting_lock") as other:
        threads = [threading.Thread(target=make) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert f"{entry}: waiting for process {other.pid} (on" in waiting_messages.get(timeout=60)
        assert not made
        assert other.stdin is not None
        other.stdin.close()
        for thread in threads:
            thread.join()
    assert sorted(made) == [False, True, True]
    assert os.listdir(tmp_path) == ["entry"]
