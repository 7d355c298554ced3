"""Trackers record to this machine: event files, Weights & Biases offline, trackio's database."""

import json
from pathlib import Path

import pytest

from clipnav.training.log import check_trackers, start_trackers
from tests.training.sums import make_trainer


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Let trackers write below a folder and connect to nothing."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    monkeypatch.setenv("TRACKIO_DIR", str(tmp_path / "trackio"))
    monkeypatch.chdir(tmp_path)  # wandb 0.19 writes a log of its own there
    return tmp_path


def record(name: str, run: Path) -> None:
    (tracker,) = start_trackers([name], run, 1, {"seed": 3})
    tracker.write("train", 1, {"loss": 0.5})
    tracker.close()
    # Resumed from an earlier iteration.
    (tracker,) = start_trackers([name], run, 1, {"seed": 3})
    tracker.write("val", 1, {"SR": 0.25})
    tracker.close()


def runs_below(folder: Path) -> list[str]:
    """Return the runs that trackio has of a folder; all tests share its database."""
    from trackio.sqlite_storage import SQLiteStorage

    return [run for run in SQLiteStorage.get_runs("clipnav") if run.startswith(f"{folder.name}/")]


def test_weights_and_biases_continues_the_same_run(offline):
    wandb = pytest.importorskip("wandb", reason="requires the extra 'wandb'")
    run = offline / "run"
    run.mkdir()
    record("wandb", run)
    wandb.teardown()  # its process writes the files after a run has ended
    (identifier,) = json.loads((run / "trackers.json").read_text()).values()
    files = sorted((run / "wandb").glob("offline-run-*/run-*.wandb"))
    assert [file.stem for file in files] == 2 * [f"run-{identifier}"]
    recorded = [file.read_bytes() for file in files]
    assert sorted((b"train/loss" in one, b"val/SR" in one) for one in recorded) == [
        (False, True),
        (True, False),
    ]


def test_trackio_continues_the_same_run(offline):
    pytest.importorskip("trackio", reason="requires the extra 'trackio'")
    run = offline / "run"
    run.mkdir()
    record("trackio", run)
    from trackio.sqlite_storage import SQLiteStorage

    identifier = json.loads((run / "trackers.json").read_text())["trackio"]
    name = f"{offline.name}/run-{identifier}"
    assert runs_below(offline) == [name]
    logged = SQLiteStorage.get_logs("clipnav", name)
    assert [entry.get("train/loss") for entry in logged] == [0.5, None]
    assert [entry.get("val/SR") for entry in logged] == [None, 0.25]
    (run / "trackers.json").unlink()
    record("trackio", run)  # another run in the same folder
    assert len(runs_below(offline)) == 2
    assert SQLiteStorage.get_logs("clipnav", name) == logged


def test_a_missing_package_is_named_before_the_run_is_made(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"--track wandb requires.*clipnav\[wandb\]"):
        make_trainer(tmp_path / "run", track=("wandb",))
    assert not (tmp_path / "run").exists()
    with pytest.raises(ModuleNotFoundError, match="--track trackio"):
        check_trackers(["trackio"])


def test_damaged_ids_are_refused(offline):
    pytest.importorskip("wandb", reason="requires the extra 'wandb'")
    (offline / "trackers.json").write_text('{"wandb": 7}')
    with pytest.raises(ValueError, match=r"trackers\.json: .*expected str, got int; "):
        start_trackers(["wandb"], offline, 1, {})


def test_a_tracker_that_cannot_start_is_one_line(offline, monkeypatch):
    wandb = pytest.importorskip("wandb", reason="requires the extra 'wandb'")

    def init(**settings):
        raise wandb.errors.UsageError("No API key configured.\nUse `wandb login` to log in.")

    monkeypatch.setattr(wandb, "init", init)
    with pytest.raises(ValueError, match=r"--track wandb: No API key.*WANDB_MODE=offline") as error:
        start_trackers(["wandb"], offline, 1, {})
    assert "\n" not in str(error.value)


def test_a_training_writes_to_the_trackers(tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    trainer = make_trainer(tmp_path / "run", track=("tensorboard",))
    trainer.train()
    assert EventAccumulator(str(trainer.run / "tensorboard")).Reload().Tags()["scalars"]
