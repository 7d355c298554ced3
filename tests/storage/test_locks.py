"""Locks of outputs: who is refused, who waits, and what a dead holder leaves."""

import errno
import fcntl
import os
import socket
import threading

import pytest

from storage.locks import OutputInUseError, OutputLock, lock_path, sole_maker, sole_writer

WITHOUT_FLOCK = """
import errno, fcntl, os
def missing(*_):
    raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
fcntl.flock = missing
"""


def test_a_second_process_is_refused_with_the_name_of_the_first(tmp_path, locked_elsewhere):
    output = tmp_path / "store.safetensors"
    with locked_elsewhere(output) as other:
        with pytest.raises(OutputInUseError) as refused, sole_writer(output):
            pass
        assert str(output) in str(refused.value)
        assert f"process {other.pid} (on {socket.gethostname()}, since 2" in str(refused.value)
    with sole_writer(output):
        assert list(tmp_path.iterdir()) == [lock_path(output)]
    assert not list(tmp_path.iterdir())


def test_a_folder_and_other_names_of_it_have_one_lock(tmp_path, locked_elsewhere):
    run = tmp_path / "run"
    run.mkdir()
    (tmp_path / "same").symlink_to(run)
    with (
        locked_elsewhere(run),
        pytest.raises(OutputInUseError, match="same: process"),
        sole_writer(tmp_path / "same"),
    ):
        pass


@pytest.mark.parametrize("prelude", ["", WITHOUT_FLOCK])
def test_a_killed_holder_is_no_holder(tmp_path, locked_elsewhere, prelude):
    output = tmp_path / "run"
    with locked_elsewhere(output, prelude=prelude) as other:
        other.kill()
        other.wait()
    assert lock_path(output).read_text()
    with locked_elsewhere(output, prelude=prelude):
        assert lock_path(output).exists()
    assert not list(tmp_path.iterdir())


def test_without_flock_a_living_holder_is_named(tmp_path, locked_elsewhere, monkeypatch):
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


def test_a_holder_on_another_host_comes_with_the_remedy(tmp_path, locked_elsewhere):
    output = tmp_path / "run"
    with locked_elsewhere(output):
        lock_path(output).write_text("7\nelsewhere\n")
        with pytest.raises(OutputInUseError, match=r"process 7 \(on elsewhere.*delete .*run\.lock"):
            OutputLock(output).acquire()


def test_one_process_may_take_a_lock_again(tmp_path):
    output = tmp_path / "run"
    with sole_writer(output):
        os.utime(lock_path(output), (1, 1))
        with sole_writer(output, output):
            assert lock_path(output).stat().st_mtime == 1, "when this process took it first"
        assert lock_path(output).exists()
    assert not lock_path(output).exists()


def test_a_lock_holds_on_a_full_disk(tmp_path, locked_elsewhere):
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))"
    output = tmp_path / "run"
    with (
        locked_elsewhere(output, prelude=limit),
        pytest.raises(OutputInUseError, match="run: another process is writing it"),
        sole_writer(output),
    ):
        pass


def test_makers_wait_for_each_other(tmp_path, locked_elsewhere, capsys):
    """Of another process as well as of a thread; each finds what the one before has made."""
    entry = tmp_path / "entry"
    made = []

    def make():
        with sole_maker(entry):
            found = entry.exists()
            entry.touch()
            made.append(found)

    with locked_elsewhere(entry, "sole_maker") as other:
        threads = [threading.Thread(target=make) for _ in range(3)]
        for thread in threads:
            thread.start()
        while "waiting" not in (told := capsys.readouterr().err):
            pass
        assert f"{entry}: waiting for process {other.pid} (on" in told
        assert not made
        assert other.stdin is not None
        other.stdin.close()
        for thread in threads:
            thread.join()
    assert sorted(made) == [False, True, True]
    assert os.listdir(tmp_path) == ["entry"]
