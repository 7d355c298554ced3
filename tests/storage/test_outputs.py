import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from clipnav.storage.outputs import RUN_FILES, check_new, check_outputs
from clipnav.training import checkpoints
from clipnav.training.settings import CONFIG
from clipnav.vl_tasks.classification.task import ANSWERS
from clipnav.vl_tasks.clip_vil_p.building import TRUNK
from clipnav.vl_tasks.clip_vil_p.data.word_pieces import TOKENIZER
from clipnav.vl_tasks.clip_vil_p.networks.bert import BERT
from clipnav.vl_tasks.reliability.folder import DESCRIPTION, PARTS_FILE


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


def test_the_files_of_a_run_are_those_of_a_training():
    names = ("MODEL", "TRAINER", "VOCABULARY", "METRICS", "RESULTS")
    assert set(RUN_FILES) >= {CONFIG, *(getattr(checkpoints, name) for name in names)}
    assert set(RUN_FILES) >= {BERT, TOKENIZER, DESCRIPTION, PARTS_FILE, ANSWERS, TRUNK}
