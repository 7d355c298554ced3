"""Folders that a new run may use."""

import json

import pytest

from clipnav.storage import atomic_write
from clipnav.storage.outputs import CONFIG
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
