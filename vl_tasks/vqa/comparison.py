"""Comparison of VQA trainings, such as those on the grid features of different encoders."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.training.comparisons import (
    SCORES,
    ComparisonRow,
    Job,
    Scores,
    logged,
    resumable_job,
    train_rows,
)
from clipnav.vl_tasks.data.own_questions import find_own_questions
from clipnav.vl_tasks.data_folders import data_folder, split_file
from clipnav.vl_tasks.grids.encoders import check_encoder, load_encoder
from clipnav.vl_tasks.grids.regions import RegionSource
from clipnav.vl_tasks.grids.sources import BlindSource, GridSource
from clipnav.vl_tasks.settings.networks import GridConfig
from clipnav.vl_tasks.settings.runs import HELD_OUT
from clipnav.vl_tasks.specs import parse_task, preset_of_data
from clipnav.vl_tasks.training import train_task
from clipnav.vl_tasks.vqa.accuracy import vqa_accuracy
from clipnav.vl_tasks.vqa.settings import VqaConfig, vqa_defaults

METRICS = ("accuracy",)
CLUSTER = "image"  # questions about one image are not independent
# Settings that do not change the result of a run. Grid features are compared by the metadata of its
# weights, but regions have no name of an encoder, so their folder must be the same.
_MAY_CHANGE = frozenset("resume output images threads device track".split())


def train_all(
    rows: Sequence[ComparisonRow], seeds: int, folder: Path, workers: int
) -> dict[str, list[Scores]]:
    """Train each row, with arguments of clipnav finetune-vqa, with each seed; see `train_rows`."""
    return train_rows(rows, seeds, folder, workers, make_job, run_job)


def vqa_splits(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return the splits on which a VQA training is scored, first the one that selects its weights.

    The built-in houses have no splits but their own, which presets for other data do not name.
    """
    config = parse_task("vqa", arguments)
    if preset_of_data(config.data, VqaConfig) == "houses":
        config = vqa_defaults({"preset": "houses"}.get)
    return config.evaluated_splits


def check_split_files(row: ComparisonRow, flag: str) -> None:
    """Check before any training that the data has the splits on which a row is scored."""
    config = _parse(row.arguments_for(seed=0))
    folder = data_folder(config)
    own = find_own_questions(folder)
    for split in config.evaluated_splits:
        if split == HELD_OUT:
            continue
        if own is not None:
            raise UserError(f"{own}: has no split {split!r}; set {flag} {HELD_OUT}")
        for ending in ("_questions.json", "_annotations.json"):
            split_file(folder, split, ending, flags=flag)


def make_job(run: Path, arguments: Sequence[str]) -> Job:
    """Return the job of a training in a folder, which is new, interrupted or finished."""
    config = _parse(arguments)
    check_encoder(config)
    return resumable_job(run, config, _MAY_CHANGE, lambda: feature_metadata(config))


def _parse(arguments: Sequence[str]) -> VqaConfig:
    config = parse_task("vqa", arguments)
    if config.is_fine_tuned:
        raise UserError(
            f"--model {config.model} trains its own image tower, so encoders have no effect on it; "
            "give another --model"
        )
    return config


def feature_metadata(config: VqaConfig) -> Mapping[str, str]:
    """Return the metadata of the features of a run."""
    if not config.vision:
        return BlindSource.metadata
    if config.regions is not None:
        return RegionSource.metadata
    return _grid_metadata(config.grids)


@cache
def _grid_metadata(config: GridConfig) -> Mapping[str, str]:
    return GridSource(load_encoder(config, "cpu"), {}, config).metadata


def run_job(job: Job) -> None:
    """Train a run to its end and write its scores; all output goes to a file in the run."""
    with logged(job.run):
        task = train_task(job.config)
        scores = {split: _question_scores(task, split) for split in job.config.evaluation_splits}
    write_text(job.run / SCORES, json.dumps(scores) + "\n")


def _question_scores(task: Any, split: str) -> dict[str, dict[str, float]]:
    """Return accuracy 0..1 and image of each question of a split, see `Scores`."""
    questions = task.splits[split]
    answers = task.answer(questions)
    return {
        str(question.question_id): {
            CLUSTER: question.image_id,
            "accuracy": vqa_accuracy(
                answers[question.question_id], question.answers, task.config.variant
            ),
        }
        for question in questions
    }
