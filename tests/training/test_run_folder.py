"""Folders that a new run may use, and the log of a run."""

import json

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from clipnav.storage import UnwritableError, atomic_write
from clipnav.storage.outputs import CONFIG
from clipnav.training.log import METRICS, RunLog, read_log, start_trackers
from clipnav.training.run_folder import run_folder
from tests.training.sums import Config, make_trainer


def contents(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize(
    "files",
    [
        {"photo.json": "{}"},
        {"model.safetensors": "weights"},
        {CONFIG: json.dumps({"model_type": "bert"}), "model-1.safetensors": "weights"},
        {CONFIG: ""},
        {CONFIG: "[]"},
    ],
)
def test_a_folder_with_files_of_something_else_is_refused(tmp_path, files):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    with pytest.raises(FileExistsError) as refused:
        make_trainer(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path}: contains no run but other files, such as {min(files)}; choose a new or "
        "empty folder as --output"
    )
    assert contents(tmp_path) == files


def test_an_empty_folder_and_one_with_logs_or_folders_are_used(tmp_path):
    assert run_folder(Config(output=tmp_path)) == tmp_path
    make_trainer(tmp_path / "imitation").train()
    for name in ("output.txt", "train.log", ".lock", ".gitignore"):
        (tmp_path / name).touch()
    make_trainer(tmp_path).train()
    assert (tmp_path / "train.log").exists()


def test_a_run_that_starts_during_the_check_counts_as_a_run(tmp_path, monkeypatch):
    def start_another(folder):
        (tmp_path / CONFIG).write_text(json.dumps({"output": None, "resume": None}))

    monkeypatch.setattr("clipnav.training.run_folder.remove_abandoned", start_another)
    assert run_folder(Config(output=tmp_path)) == tmp_path


def test_settings_that_another_process_is_writing_count_as_a_run(tmp_path):
    with atomic_write(tmp_path / CONFIG):
        assert run_folder(Config(output=tmp_path)) == tmp_path


def test_events_of_a_resumed_run_replace_later_events(tmp_path):
    first = RunLog(tmp_path, 0, start_trackers(["tensorboard"], tmp_path, 1, {}))
    for iteration in (1, 2, 3, 4):
        first.write("val", iteration, {"SR": iteration / 8})
    again = RunLog(tmp_path, 2, start_trackers(["tensorboard"], tmp_path, 3, {}))
    again.write("val", 3, {"SR": 0.75})
    expected = [(1, 0.125), (2, 0.25), (3, 0.75)]
    assert [(one["iteration"], one["SR"]) for one in read_log(tmp_path)] == expected
    events = EventAccumulator(str(tmp_path / "tensorboard")).Reload().Scalars("val/SR")
    assert [(event.step, event.value) for event in events] == expected


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"kind": "train"', "not valid JSON"),
        (b"[" * 100_000, "nested deeper"),
        (b'{"kind": "train"}', "not an event of a training run"),
        (b'{"iteration": "7"}', "not an event"),
        (b"7", "not an event"),
        (b"\xff", "utf-8"),
    ],
)
def test_the_error_of_a_damaged_line_names_it(tmp_path, line, problem):
    valid = b'{"kind": "train", "iteration": 1, "loss": NaN}\n'
    (tmp_path / METRICS).write_bytes(valid + line + b"\n" + valid)
    with pytest.raises(ValueError, match=rf"metrics\.jsonl, line 2: .*{problem}.*; remove the dam"):
        read_log(tmp_path)
    (tmp_path / METRICS).write_bytes(2 * valid + line)  # incomplete
    assert [event["iteration"] for event in read_log(tmp_path)] == [1, 1]


def test_a_full_disk_leaves_complete_events(tmp_path, file_size_limit):
    log = RunLog(tmp_path, 0)
    log.write("val", 1, {"SR": 0.5})
    path = tmp_path / "metrics.jsonl"
    before = path.read_bytes()
    with file_size_limit(len(before) + 9):
        with pytest.raises(UnwritableError, match=r"metrics\.jsonl: cannot be written \(File too"):
            log.write("val", 2, {"SR": 0.75})
        assert path.read_bytes() == before
    log.write("val", 2, {"SR": 1.0})
    assert [one["SR"] for one in read_log(tmp_path)] == [0.5, 1.0]
