import os
from pathlib import Path

import pytest
from torch import nn

from clipnav.training.checkpoints import (
    MODEL,
    TRAINER,
    load_model,
    load_trainer,
    save_model,
    save_trainer,
)


class Reader(nn.Module):
    def __init__(self, visual, vocabulary):
        super().__init__()
        self.words, self.seen = nn.Embedding(vocabulary, 6), nn.Linear(visual, 8)
        self.architecture = {"visual width": str(visual), "vocabulary size": str(vocabulary)}


def make(visual=12, vocabulary=10):
    return Reader(visual, vocabulary)


def test_equal_weights_give_equal_files(tmp_path):
    network = make()
    metadata = {f"setting {number}": "façade\n" for number in range(8)}
    for run in ("one", "two"):
        save_model(tmp_path / run, network, metadata)
    assert (tmp_path / "one" / MODEL).read_bytes() == (tmp_path / "two" / MODEL).read_bytes()
    assert load_model(tmp_path / "one", make(), metadata) == {**network.architecture, **metadata}


def test_files_of_a_run_are_on_the_disk_before_they_replace_others(tmp_path: Path, monkeypatch):
    moves = []

    def fsync(number: int) -> None:
        moves.append(("on disk", os.fstat(number).st_size > 0))

    def replace(source: Path, target: Path) -> None:
        moves.append(("moved", target.name))
        rename(source, target)

    rename = os.replace
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    save_model(tmp_path, make(), {})
    save_trainer(tmp_path, {"iteration": 40})
    expected = [("on disk", True), ("moved", MODEL), ("on disk", True), ("moved", TRAINER)]
    assert moves == expected


@pytest.mark.parametrize(
    ("other", "encoder", "problem"),
    [
        (make(visual=16), "a", "visual width 12, but here it is 16"),
        (make(vocabulary=11), "a", "vocabulary size 10, but here it is 11"),
        (make(), "b", "encoder a, but here it is b"),
    ],
)
def test_the_error_of_other_settings_names_both_values(tmp_path, other, encoder, problem):
    save_model(tmp_path, make(), {"encoder": "a"})
    with pytest.raises(ValueError, match=problem) as error:
        load_model(tmp_path, other, {"encoder": encoder})
    assert str(tmp_path / MODEL) in str(error.value)


def test_weights_that_the_architecture_omits_are_checked(tmp_path):
    save_model(tmp_path, make(), {})
    other = make()
    other.scale = nn.Linear(1, 1)
    with pytest.raises(ValueError, match="does not fit the settings here") as error:
        load_model(tmp_path, other, {})
    assert str(tmp_path / MODEL) in str(error.value)
    assert "scale.weight" in str(error.value)


@pytest.mark.parametrize("kept", [0, 5, 400])
def test_damaged_files_are_refused(tmp_path, kept):
    save_model(tmp_path, make(), {})
    save_trainer(tmp_path, {"iteration": 3, "weights": make().state_dict()})
    for name, load in (
        (MODEL, lambda: load_model(tmp_path, make(), {})),
        (TRAINER, lambda: load_trainer(tmp_path)),
    ):
        path = tmp_path / name
        path.write_bytes(path.read_bytes()[:kept])
        with pytest.raises(ValueError, match="damaged") as error:
            load()
        assert str(path) in str(error.value)


def test_the_errors_of_missing_files_name_them(tmp_path):
    with pytest.raises(FileNotFoundError, match=MODEL):
        load_model(tmp_path, make(), {})
    with pytest.raises(FileNotFoundError, match=TRAINER):
        load_trainer(tmp_path)
