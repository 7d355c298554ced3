"""Questions, hypotheses and captions about the built-in houses, made from their ground truth.

They come in the file formats of VQA v2, SNLI-VE and Karpathy's COCO, with pictures as JPEG in
COCO's naming. Splits are "train" and "val_seen" (other places in the training houses) and
"val_unseen" (houses that no training picture shows).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from storage import cache_dir, write_text
from storage.locks import sole_maker, sole_writer
from storage.processes import run_jobs
from storage.progress import progress_bar
from training.interruption import interruption_message
from training.settings import check_counts
from vl_tasks.house_tasks.files import (
    HouseTaskFiles,
    write_asked,
    write_captioned,
    write_stated,
)

if TYPE_CHECKING:
    from vl_tasks.house_tasks.views import ImagePlan, View

__all__ = ["SPLITS", "HouseTaskFiles", "HouseTasksConfig", "cached_house_tasks", "make_house_tasks"]

SPLITS = ("train", "val_seen", "val_unseen")
FORMAT = 1  # part of the cache's name: raise it when equal configurations give other tasks
_FIRST_ID = {"train": 1, "val_seen": 1_000_001, "val_unseen": 2_000_001}
_WORDS_TAG = 62


@dataclass(frozen=True)
class HouseTasksConfig:
    """Settings of the generated house tasks."""

    train: int = 4800
    """Number of images of the split train."""
    val_seen: int = 320
    """Number of images of the split val_seen: other viewpoints in the training houses."""
    val_unseen: int = 480
    """Number of images of the split val_unseen: houses without training images."""
    questions: float = 6.0
    """Maximum average number of questions per image."""
    hypotheses: float = 6.0
    """Maximum average number of hypotheses per image."""
    size: int = 224
    """Height and width of an image in pixels."""
    houses: int = 40
    """Number of houses, one fifth of them for val_unseen."""
    seed: int = 0
    """Random seed for images, questions, hypotheses and captions."""

    def __post_init__(self) -> None:
        check_counts(self, ("size",))


def cached_house_tasks(config: HouseTasksConfig | None = None, workers: int = 1) -> HouseTaskFiles:
    """The tasks of a configuration from the cache; made there first if they are not in it."""
    config = config or HouseTasksConfig()
    text = json.dumps([FORMAT, asdict(config)])
    digest = hashlib.sha256(text.encode()).hexdigest()[:12]
    files = HouseTaskFiles(cache_dir() / "house_tasks" / digest)
    if files.summary.is_file():
        return files
    files.folder.mkdir(parents=True, exist_ok=True)
    with sole_maker(files.folder):
        if not files.summary.is_file():
            _make(files, config, workers)
    return files


def make_house_tasks(
    folder: Path, config: HouseTasksConfig | None = None, workers: int = 1
) -> HouseTaskFiles:
    """Draw pictures and write the files of the three tasks, showing a bar.

    Args:
        folder: Where to write; files of an earlier call are replaced.
        config: What to make.
        workers: Processes; the result does not depend on their number.

    Raises:
        ValueError: A split would have no picture, or not enough to ask anything.
        ChildProcessError: A process was killed.
        OutputInUseError: Another process writes there.
    """
    files = HouseTaskFiles(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with sole_writer(folder):
        _make(files, config or HouseTasksConfig(), workers)
    return files


def _make(files: HouseTaskFiles, config: HouseTasksConfig, workers: int) -> None:
    files.summary.unlink(missing_ok=True)
    with interruption_message(
        lambda: f"{files.folder} is not complete, and the same command makes it anew"
    ):
        _write_all(files, config, workers)


def _write_all(files: HouseTaskFiles, config: HouseTasksConfig, workers: int) -> None:
    views = _take_all(files, config, workers)
    captions: dict[int, list[str]] = {}
    splits = {split: _write_split(files, split, views[split], captions, config) for split in SPLITS}
    write_captioned(files, views, captions)
    summary = {"format": FORMAT, **asdict(config), "splits": splits}
    write_text(files.summary, json.dumps(summary, indent=1) + "\n")


def _write_split(
    files: HouseTaskFiles,
    split: str,
    views: list[View],
    captions: dict[int, list[str]],
    config: HouseTasksConfig,
) -> dict[str, Any]:
    """Write the questions and hypotheses of a split, and add captions by image id.

    Returns:
        What there is of it, for the summary.
    """
    from vl_tasks.house_tasks.captions import write_captions
    from vl_tasks.house_tasks.hypotheses import state_hypotheses
    from vl_tasks.house_tasks.questions import ask_questions

    tag, count = [config.seed, _WORDS_TAG, SPLITS.index(split)], len(views)
    ask, state, tell = (np.random.default_rng([*tag, number]) for number in range(3))
    asked, asked_chance = ask_questions(views, round(config.questions * count), ask)
    stated, stated_chance = state_hypotheses(views, round(config.hypotheses * count), state)
    if not asked or not stated:
        raise ValueError(
            f"{split}: {count} pictures are too few for balanced questions and hypotheses; ask "
            "for more"
        )
    told = {view.image_id: write_captions(view, tell) for view in views}
    captions |= told
    write_asked(files, split, asked)
    write_stated(files, split, stated, told)
    return {
        "scans": sorted({view.scan for view in views}),
        "pictures": count,
        "questions": len(asked),
        "hypotheses": len(stated),
        "captions": sum(len(texts) for texts in told.values()),
        "chance_of_answers": asked_chance,
        "chance_of_labels": stated_chance,
    }


def _take_all(
    files: HouseTaskFiles, config: HouseTasksConfig, workers: int
) -> dict[str, list[View]]:
    """Pictures of all splits, drawn under a bar."""
    jobs = [shoot for split in SPLITS for shoot in plan_shoots(split, config)]
    views: dict[str, dict[int, list[View]]] = {split: {} for split in SPLITS}
    total = sum(shoot.count for shoot in jobs)
    with progress_bar(total=total, desc="pictures", unit="pictures") as bar:
        for shoot, taken in _taken(files, jobs, workers):
            views[shoot.split][shoot.first_id] = taken
            bar.update(shoot.count)
    # In the order of their numbers, whichever house was done first.
    return {
        split: [view for first in sorted(found) for view in found[first]]
        for split, found in views.items()
    }


def _taken(
    files: HouseTaskFiles, jobs: Sequence[ImagePlan], workers: int
) -> Iterator[tuple[ImagePlan, list[View]]]:
    """Pictures of each house as they get ready, in this process or in several others."""
    take = partial(_take, files)
    if workers == 1:
        return ((shoot, take(shoot)) for shoot in jobs)
    return run_jobs(take, jobs, workers, "takes pictures")


def _take(files: HouseTaskFiles, shoot: ImagePlan) -> list[View]:
    from vl_tasks.house_tasks.views import take_pictures

    return take_pictures(shoot, files.images(shoot.split))


def plan_shoots(split: str, config: HouseTasksConfig) -> list[ImagePlan]:
    """Which pictures of a split are taken where; houses get equal shares.

    Raises:
        ValueError: No picture is wanted, or fewer than two houses.
    """
    from vl_tasks.house_tasks.views import ImagePlan

    scans = _scans(split, config.houses)
    wanted = int(getattr(config, split))
    if wanted < 1:
        raise ValueError(f"{split}: at least one picture is needed, not {wanted}")
    seen = {"train": False, "val_seen": True, "val_unseen": None}[split]
    bounds = [wanted * k // len(scans) for k in range(len(scans) + 1)]
    return [
        ImagePlan(scan, split, seen, _FIRST_ID[split] + a, b - a, config.size, config.seed)
        for scan, a, b in zip(scans, bounds, bounds[1:], strict=False)
        if b > a
    ]


def _scans(split: str, houses: int) -> Sequence[str]:
    from envs.houses.house_set import TRAIN_SCANS, UNSEEN_SCANS

    most = len(TRAIN_SCANS) + len(UNSEEN_SCANS)
    if not 2 <= houses <= most:
        raise ValueError(f"between 2 and {most} houses can be used, not {houses}")
    unseen = max(1, houses * len(UNSEEN_SCANS) // most)
    return UNSEEN_SCANS[:unseen] if split == "val_unseen" else TRAIN_SCANS[: houses - unseen]
