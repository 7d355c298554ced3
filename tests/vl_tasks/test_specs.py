"""The table of tasks: a question task of another package, from training to its resumed run."""

import dataclasses
import json
from pathlib import Path
from typing import Any, ClassVar

import pytest

from clipnav import TaskSpec, register_task
from clipnav.vl_tasks.classification.task import ClassificationTask
from clipnav.vl_tasks.gqa.questions import ImageQuestion
from clipnav.vl_tasks.settings.networks import McanConfig
from clipnav.vl_tasks.settings.runs import QuestionConfig
from clipnav.vl_tasks.specs import parse_task, task_names, task_spec

TINY = McanConfig(16, 24, layers=1, heads=2, pooling_size=8, fused_size=16)


@dataclasses.dataclass(frozen=True)
class ColourConfig(QuestionConfig):
    COMMAND: ClassVar[str] = "clipnav finetune colours"
    TASK: ClassVar[str] = "colours"


class ColourTask(ClassificationTask):
    """Whether a shape is bright, from the annotation of its colour."""

    def read(self, split: str, secret: bool = False) -> list[Any]:
        lines = (self.folder / f"{split}.txt").read_text().splitlines()
        return [
            ImageQuestion(name, "is it bright?", name, "" if secret else _is_bright(colour))
            for name, colour in map(str.split, lines)
        ]


def _is_bright(colour: str) -> str:
    return "no" if colour == "blue" else "yes"


def defaults(flag: Any) -> ColourConfig:
    return ColourConfig(mcan=TINY, embedding_size=8, max_words=5, min_count=1, evaluate_every=1)


SPEC = TaskSpec(
    "colours", f"{__name__}:ColourConfig", f"{__name__}:defaults", f"{__name__}:ColourTask"
)


@pytest.fixture
def colours(shapes, tmp_path) -> Path:
    """Folder with the colours of the shapes."""
    (tmp_path / "images").symlink_to(shapes / "images")
    for split in ("train", "val"):
        images = sorted((shapes / "images" / split).iterdir())
        lines = [f"{path.stem} {('red', 'blue')[k % 2]}" for k, path in enumerate(images)]
        (tmp_path / f"{split}.txt").write_text("\n".join(lines))
    return tmp_path


def test_a_task_of_another_package_trains_is_evaluated_and_resumes(run_command, colours):
    register_task(SPEC)
    run = colours / "run"
    flags = ("--data", colours, "--batch-size", 4, "--threads", 1, "--submit", "val")
    printed = run_command("finetune", "colours", *flags, "--iterations", 2, "--output", run)
    assert "val: accuracy" in printed
    first = json.loads((run / "results.json").read_text())
    assert first["iterations"] == 2
    assert first["results"]["val"]["questions"] == 12
    rows = json.loads((run / "submission_val.json").read_text())
    assert {row["answer"] for row in rows} <= {"yes", "no"}
    run_command("finetune", f"{__name__}:SPEC", "--resume", run, "--iterations", 3)
    assert json.loads((run / "results.json").read_text())["iterations"] == 3
    image = next((colours / "images" / "val").iterdir())
    assert "is it bright?" in run_command("answer", image, "is it bright?", "--run", run)
    with pytest.raises(ValueError, match="min_count: 1 against 2"):
        run_command("finetune", "colours", "--resume", run, "--min-count", 2)


def test_every_row_names_parts_that_exist():
    for name in task_names():
        spec = task_spec(name)
        kind = spec.part("settings")
        assert isinstance(spec.part("defaults")(lambda flag: None), kind)
        assert callable(spec.part("task"))


def test_unknown_and_taken_names_are_refused():
    with pytest.raises(LookupError, match="magic: no such task; choose one of vqa, multilingual-v"):
        task_spec("magic")
    with pytest.raises(ValueError, match="the task 'vqa' exists already"):
        register_task(dataclasses.replace(SPEC, name="vqa"))
    with pytest.raises(ValueError, match="is a McanConfig, not of type TaskSpec"):
        parse_task(f"{__name__}:TINY", [])
