import errno
import io
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image

from clipnav.storage import (
    UnwritableError,
    atomic_write,
    cache_dir,
    remove_unfinished,
    temporary_path,
    write_text,
)
from clipnav.storage.errors import UserError
from clipnav.storage.features.formats import write_features
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.outputs import RUN_FILES, check_new, check_outputs, new_folder
from clipnav.training import checkpoints
from clipnav.training.checkpoints import save_model, save_trainer
from clipnav.training.log import METRICS
from clipnav.training.settings import CONFIG
from clipnav.vl_tasks.classification.task import ANSWERS
from clipnav.vl_tasks.clip_vil_p.building import BERT, TRUNK
from clipnav.vl_tasks.clip_vil_p.data.word_pieces import TOKENIZER
from clipnav.vl_tasks.reliability.folder import DESCRIPTION, PARTS_FILE
from tests.windows_files import windows_files


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    with atomic_write(path) as beside:
        assert beside.suffix == ".png"
        beside.write_bytes(b"whole")
        assert not path.exists()
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def fail_half_way(path: Path) -> None:
    with atomic_write(path) as beside:
        beside.write_text("half")
        raise OSError("no space left")


def test_a_failure_keeps_the_old_file_and_leaves_no_other(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    path.write_text("old")
    with pytest.raises(OSError, match="no space"):
        fail_half_way(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_temporary_files_of_killed_processes_are_deleted(tmp_path: Path) -> None:
    program = """
import os, signal, sys
from clipnav.storage import atomic_write
with atomic_write(sys.argv[1]) as beside:
    beside.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "a.txt"
    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    living = left.with_name(left.name.replace(f"-{_number(left)}.", f"-{os.getppid()}."))
    living.write_text("unfinished")
    write_text(path, "whole")
    assert sorted(tmp_path.iterdir()) == sorted([living, path])


def test_temporary_files_of_other_containers_of_the_host_stay(tmp_path: Path) -> None:
    """Their processes are not visible here, although the host has the same name."""
    apart = ["unshare", "--user", "--map-root-user", "--pid", "--fork"]
    if shutil.which(apart[0]) is None or subprocess.run([*apart, "true"], check=False).returncode:
        pytest.skip("PID namespaces are not available")
    program = (
        f"from clipnav.storage import write_text; write_text({str(tmp_path / 'b.txt')!r}, 'b')"
    )
    with atomic_write(tmp_path / "a.txt") as beside:
        beside.write_text("a")
        subprocess.run([*apart, sys.executable, "-c", program], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.txt", "b.txt"]


def test_a_file_of_another_user_that_may_not_be_deleted_stays(tmp_path: Path, monkeypatch) -> None:
    """As in /tmp, where only the owner of a file may delete it."""
    beside = temporary_path(tmp_path / "theirs.txt")
    theirs = beside.with_name(beside.name.replace(f"-{os.getpid()}.", f"-{2**22 + 1}."))
    theirs.write_text("half")
    unlink = Path.unlink

    def refuse(path: Path, missing_ok: bool = False) -> None:
        if path.name == theirs.name:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM), str(path))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    write_text(tmp_path / "own.txt", "whole")
    assert (tmp_path / "own.txt").read_text() == "whole"
    assert theirs.is_file()


def _number(path: Path) -> str:
    return path.name.split(".writing")[0].rpartition("-")[2]


def save_store(path: Path) -> None:
    FeatureStore.write(path, np.zeros((9, 36, 64)), [f"a_{k}" for k in range(9)])


def save_array(path: Path) -> None:
    with atomic_write(path) as beside:
        np.save(beside, np.zeros(9999))


def save_features(path: Path) -> None:
    write_features(path, [f"a_{k}" for k in range(99)], np.zeros((99, 36, 64)), {})


def save_picture(path: Path) -> None:
    with atomic_write(path) as beside:
        noise = np.random.default_rng(0).integers(0, 255, (99, 99, 3)).astype(np.uint8)
        Image.fromarray(noise).save(beside)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `storage` take this system for Windows, with the own process as the only one."""

    def opened(_: int, inherited: bool, pid: int) -> int:
        if pid != os.getpid():
            raise OSError(errno.EINVAL, "The parameter is incorrect")
        return pid

    def fail(*_: int) -> None:
        raise AssertionError("a signal was sent")

    calls = {"OpenProcess": opened, "WaitForSingleObject": lambda *_: 258, "CloseHandle": id}
    module = SimpleNamespace(SYNCHRONIZE=1 << 20, WAIT_TIMEOUT=258, **calls)
    monkeypatch.setitem(sys.modules, "_winapi", module)
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(os, "kill", fail)


def test_windows_is_asked_for_processes_without_a_signal(tmp_path: Path, windows: None) -> None:
    left = temporary_path(tmp_path / "a.txt")
    left.write_text("unfinished")
    abandoned = left.with_name(left.name.replace(f"-{os.getpid()}.", "-4000000."))
    abandoned.write_text("half")
    write_text(tmp_path / "b.txt", "whole")
    assert {path.name for path in tmp_path.iterdir()} == {left.name, "b.txt"}


def test_the_error_of_a_file_that_is_open_on_windows_contains_the_remedy(
    tmp_path: Path, windows: None
) -> None:
    path = tmp_path / "store.safetensors"
    path.write_text("old")
    with (
        path.open(),
        windows_files(),
        pytest.raises(UnwritableError, match="denied; close it in other programs and"),
    ):
        write_text(path, "new")
    assert path.read_text() == "old"


def test_a_process_can_end_while_windows_keeps_its_open_file(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a.txt") as beside, windows_files():
        with beside.open("w"):
            remove_unfinished()
        assert beside.exists()
        remove_unfinished()
        assert not beside.exists()
        beside.touch()


def test_line_ends_are_the_same_on_every_system(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "lines.txt"
    with monkeypatch.context() as patch:
        patch.setattr(io, "open", _with_windows_lines)
        write_text(path, "one\ntwo\n")
        assert path.read_bytes() == b"one\ntwo\n"


def _with_windows_lines(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None):
    if "b" not in mode and newline is None:
        newline = "\r\n"
    return open(file, mode, buffering, encoding, errors, newline)


@pytest.mark.parametrize(
    ("name", "save"),
    [
        ("trainer.pt", lambda path: save_trainer(path.parent, {"weights": torch.zeros(9999)})),
        ("model.safetensors", lambda path: save_model(path.parent, FixedLayer(9999, 9), {})),
        ("store.safetensors", save_store),
        ("text.json", lambda path: write_text(path, 99999 * "x")),
        ("array.npy", save_array),
        ("store.hdf5", save_features),
        ("store.lmdb", save_features),
        ("store.tsv", save_features),
        ("picture.png", save_picture),
    ],
)
def test_the_error_of_a_full_disk_names_the_file_and_keeps_the_old_one(
    tmp_path, file_size_limit, name, save
):
    """Each library that writes files raises its own exceptions."""
    path = tmp_path / name
    with file_size_limit(20_000):
        with pytest.raises(UnwritableError, match=rf"{name}: cannot be written .* was not created"):
            save(path)
        path.write_text("old")
        with pytest.raises(UnwritableError, match=rf"{name}: cannot .* the file is unchanged"):
            save(path)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


class FixedLayer(torch.nn.Linear):
    architecture: ClassVar[dict[str, str]] = {}


def test_the_error_of_a_read_only_file_system_names_the_file(tmp_path: Path, monkeypatch) -> None:
    def refuse(path: Path, **_):  # deletions, too, even of a file that is not there
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(path))

    monkeypatch.setattr(Path, "touch", refuse)
    monkeypatch.setattr(Path, "unlink", refuse)
    target = tmp_path / "scores.json"
    with pytest.raises(UnwritableError, match=rf"^{target}: cannot be written .*not created"):
        write_text(target, "{}")


def test_other_errors_are_not_converted(tmp_path):
    for error in (ValueError("wrong"), FileNotFoundError(2, "No such file", "another")):
        with pytest.raises(type(error)), atomic_write(tmp_path / "a"):
            raise error


def test_without_a_home_folder_the_cache_needs_a_name(tmp_path, monkeypatch):
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    monkeypatch.delenv("CLIPNAV_CACHE", raising=False)
    with pytest.raises(UserError, match="set HOME, or CLIPNAV_CACHE"):
        cache_dir()
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    assert cache_dir() == tmp_path


def test_files_have_default_permissions(tmp_path: Path):
    """safetensors, among others, creates files that only their owner may read."""
    usual = tmp_path / "usual"
    usual.touch()
    with atomic_write(tmp_path / "file") as beside:
        beside.unlink()
        beside.touch(mode=0o600)
    assert (tmp_path / "file").stat().st_mode == usual.stat().st_mode


@dataclass(frozen=True)
class Nested:
    data: Path = Path("data.json")


@dataclass(frozen=True)
class Settings:
    files: tuple[Path, ...] = ()
    nested: Nested = field(default_factory=Nested)
    scores: Path | None = None
    walk_file: Path | None = None
    folder: Path | None = None


OUTPUTS = {"scores": (".json",), "walk_file": (".json", ".jsonl"), "folder": ()}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Working folder with an input, a run and a link to the input."""
    monkeypatch.chdir(tmp_path)
    for name in ("a.json", "run/config.json", "run/results.json"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("{}")
    Path("link.json").symlink_to("a.json")
    return tmp_path


@pytest.mark.parametrize(
    ("outputs", "problem"),
    [
        ({"scores": "a.json"}, "--scores a.json: is also an input; name another file"),
        ({"scores": "link.json"}, "--scores link.json: is also an input"),
        ({"scores": "data.json"}, "--scores data.json: is also an input"),
        ({"scores": "run/config.json"}, "is a file of the run run; name another file"),
        ({"scores": "run/results.json"}, "is a file of the run run; name another file"),
        ({"scores": "b.json", "walk_file": "./b.json"}, "--walk-file b.json: is also --scores"),
        ({"scores": "b.jsonl"}, r"choose a name that ends in \.json$"),
        ({"walk_file": "walks"}, r"choose a name that ends in \.json or \.jsonl"),
        ({"scores": "folder.json"}, "--scores folder.json: is a folder; name a file"),
        ({"scores": "a.json/in/b.json"}, "a.json is a file; name a folder that exists or can be"),
        ({"folder": "a.json"}, "--folder a.json: is a file; name a folder"),
        ({"folder": "run"}, "--folder run: is a run; name another folder"),
    ],
)
def test_an_output_that_would_replace_something_is_refused(outputs, problem, place):
    (place / "folder.json").mkdir()
    settings = Settings((Path("a.json"),), **{name: Path(path) for name, path in outputs.items()})
    with pytest.raises(ValueError, match=problem):
        check_outputs(settings, OUTPUTS)


def test_other_outputs_are_accepted(place):
    Path("scores.json").write_text("of an earlier evaluation")
    for scores in ("scores.json", "run/scores.json", "results.json", "new/config.json"):
        settings = Settings((Path("a.json"),), scores=Path(scores), folder=Path("new/folder"))
        check_outputs(settings, OUTPUTS)
    assert Path("scores.json").read_text() == "of an earlier evaluation"
    assert not Path("new").exists()


def test_a_folder_without_permission_is_refused(place, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: path != Path("run"))
    with pytest.raises(ValueError, match="writing in run is not permitted; change"):
        check_outputs(Settings(scores=Path("run/new/scores.json")), OUTPUTS)


def test_only_new_files_and_empty_folders_are_new(place):
    Path("empty").mkdir()
    for path in ("empty", "b.json"):
        check_new(Path(path))
    for path in ("run", "a.json"):
        with pytest.raises(FileExistsError, match=f"--output {path}: already exists; name another"):
            check_new(Path(path))


@pytest.mark.parametrize("name", ["new", "empty", "link"])
def test_a_new_folder_is_complete_or_not_there(place, name):
    Path("empty").mkdir()
    Path("link").symlink_to("target")
    with pytest.raises(ZeroDivisionError), new_folder(Path(name)) as beside:
        (beside / "half").write_text(str(1 / 0))
    assert not any(path.match("*half*") or path.match("*.writing*") for path in Path().rglob("*"))
    with new_folder(Path(name)) as beside:
        (beside / "whole").touch()
        assert not Path(name).exists()
    assert [path.name for path in Path(name).iterdir()] == ["whole"]
    with pytest.raises(FileExistsError, match="already exists"), new_folder(Path(name)):
        pass


def test_a_new_folder_of_a_killed_process_is_deleted(tmp_path):
    program = """
import os, signal, sys
from pathlib import Path
from clipnav.storage.outputs import new_folder
with new_folder(Path(sys.argv[1])) as beside:
    (beside / "half").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    path = tmp_path / "new"
    killed = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    with new_folder(path):
        pass
    assert list(tmp_path.iterdir()) == [path]


def test_the_files_of_a_run_are_those_of_a_training():
    names = ("MODEL", "TRAINER", "VOCABULARY", "RESULTS")
    assert set(RUN_FILES) >= {CONFIG, METRICS, *(getattr(checkpoints, name) for name in names)}
    assert set(RUN_FILES) >= {BERT, TOKENIZER, DESCRIPTION, PARTS_FILE, ANSWERS, TRUNK}
