"""Generation of the house tasks: images, then the files of all tasks."""

import hashlib
import json
from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from clipnav.storage import cache_dir, write_text
from clipnav.storage.errors import UserError
from clipnav.storage.locks import exclusive_lock, waiting_lock
from clipnav.storage.processes import run_jobs
from clipnav.storage.progress import progress_bar
from clipnav.training.interruption import interruption_message
from clipnav.training.settings import check_counts, check_numbers
from clipnav.vl_tasks.house_tasks.balance import Answers
from clipnav.vl_tasks.house_tasks.captions import write_captions
from clipnav.vl_tasks.house_tasks.files import (
    HouseTaskFiles,
    sentence,
    write_house_captions,
    write_house_hypotheses,
    write_house_questions,
    write_pairs,
)
from clipnav.vl_tasks.house_tasks.gqa_files import AnswerChoices, gqa_records, write_gqa
from clipnav.vl_tasks.house_tasks.gqa_questions import QuestionScene, generate_gqa_questions
from clipnav.vl_tasks.house_tasks.hypotheses import generate_hypotheses
from clipnav.vl_tasks.house_tasks.images import HouseImage, ImagePlan, render_images
from clipnav.vl_tasks.house_tasks.language_files import remove_other_languages, write_language
from clipnav.vl_tasks.house_tasks.languages.lexicons import ENGLISH, LANGUAGES, check_languages
from clipnav.vl_tasks.house_tasks.questions import answers_of, generate_questions

SPLITS = ("train", "val_seen", "val_unseen")
_FIRST_ID = {"train": 1, "val_seen": 1_000_001, "val_unseen": 2_000_001}
_WORDS_TAG = 62
_LANGUAGES_FROM = 4  # streams of random numbers below are those of the English texts
# Parts of the cache key; increase them if a configuration gives other files than before.
FORMAT = 6
_LANGUAGES_FORMAT = 3  # of the files of further languages

# Questions with soft scores of their answers, by image id.
LabelledQuestions = dict[int, list[tuple[str, dict[str, float]]]]


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
    gqa_questions: float = 6.0
    """Maximum average number of balanced GQA-form questions per image."""
    hypotheses: float = 6.0
    """Maximum average number of hypotheses per image."""
    image_size: int = 224
    """Height and width of an image in pixels."""
    houses: int = 92
    """Number of houses; one fifth of them, but not more than the set has, are for val_unseen."""
    set: Literal["mini", "standard"] = "mini"
    """House set: mini, with further training houses from annex, or standard, which has other houses
    of the same kind. Missing houses are built in the cache."""
    languages: tuple[str, ...] = (ENGLISH,)
    """Languages of the questions and captions: en, fr, de, es, hi, te. English is always written;
    the other ones are questions with the same ids, and captions."""
    seed: int = 0
    """Random seed for images, questions, hypotheses and captions."""

    def __post_init__(self) -> None:
        check_counts(self, ("image_size",))
        check_counts(self, ("seed",), least=0)
        check_numbers(self, ("questions", "gqa_questions", "hypotheses"))
        check_languages(self.languages)

    @property
    def key(self) -> str:
        """Digest of the settings that the files depend on."""
        settings = asdict(self)
        if self.set == "mini":
            del settings["set"]
        further = sorted(set(settings.pop("languages")) - {ENGLISH})
        text = json.dumps([FORMAT, settings, *([further, _LANGUAGES_FORMAT] if further else [])])
        return hashlib.sha256(text.encode()).hexdigest()[:12]


def cached_house_tasks(config: HouseTasksConfig | None = None, workers: int = 1) -> HouseTaskFiles:
    """Return the tasks of a configuration from the cache; generate them if they are missing."""
    config = config or HouseTasksConfig()
    files = HouseTaskFiles(cache_dir() / "house_tasks" / config.key)
    if files.summary.is_file():
        return files
    files.folder.mkdir(parents=True, exist_ok=True)
    with waiting_lock(files.folder):
        if not files.summary.is_file():
            _make(files, config, workers)
    return files


def make_house_tasks(
    folder: Path, config: HouseTasksConfig | None = None, workers: int = 1
) -> HouseTaskFiles:
    """Render images and write the files of all tasks, with a progress bar.

    Args:
        folder: Output folder; files of an earlier call are replaced, and removed if their language
            is not one of the settings.
    """
    files = HouseTaskFiles(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder):
        _make(files, config or HouseTasksConfig(), workers)
    return files


def _make(files: HouseTaskFiles, config: HouseTasksConfig, workers: int) -> None:
    files.summary.unlink(missing_ok=True)
    remove_other_languages(files, config.languages, SPLITS)
    with interruption_message(
        lambda: f"{files.folder} is incomplete; run the same command again to generate it"
    ):
        _write_all(files, config, workers)


def _write_all(files: HouseTaskFiles, config: HouseTasksConfig, workers: int) -> None:
    images = _render_all(files, config, workers)
    captions: dict[int, list[str]] = {}
    scenes = {split: [QuestionScene(image) for image in images[split]] for split in SPLITS}
    choices = AnswerChoices(scene for split in SPLITS for scene in scenes[split])
    splits = {}
    known: dict[str, Answers] = {}  # answers of the training questions, by task
    for split in SPLITS:
        summary, questions = _write_split(files, split, images[split], captions, config, known)
        gqa_summary, gqa_questions = _write_gqa_split(
            files, split, scenes[split], choices, config, known
        )
        by_source = {"vqa": questions, "gqa": gqa_questions}
        sentences = {key: [sentence(text) for text in texts] for key, texts in captions.items()}
        pairs = write_pairs(files, split, images[split], sentences, by_source)
        splits[split] = {**summary, **gqa_summary, "pairs": pairs}
    write_house_captions(files, images, captions)
    summary = {"format": FORMAT, **asdict(config), "splits": splits}
    write_text(files.summary, json.dumps(summary, indent=1) + "\n")


def _write_split(
    files: HouseTaskFiles,
    split: str,
    images: list[HouseImage],
    captions: dict[int, list[str]],
    config: HouseTasksConfig,
    known: dict[str, Answers],
) -> tuple[dict[str, Any], LabelledQuestions]:
    """Write the questions and hypotheses of a split, and add its captions to `captions`.

    Evaluation splits have no answer that the training questions of that kind never have. `known`
    contains these answers by task; the first split, train, adds its own.
    """
    count = len(images)
    question_rng, hypothesis_rng, caption_rng = (_words_rng(config, split, k) for k in range(3))
    questions, answer_chance = generate_questions(
        images, round(config.questions * count), question_rng, known.get("vqa")
    )
    known.setdefault("vqa", answers_of(question for question, _ in questions))
    hypotheses, label_chance = generate_hypotheses(
        images, round(config.hypotheses * count), hypothesis_rng
    )
    if not questions or not hypotheses:
        raise _too_few_images(split, count, "questions and hypotheses")
    new_captions = {image.image_id: write_captions(image, caption_rng) for image in images}
    captions |= new_captions
    records = write_house_questions(files, split, questions)
    meanings = list(zip((question for question, _ in questions), records, strict=True))
    for language in (one for one in config.languages if one != ENGLISH):
        rng = _words_rng(config, split, _LANGUAGES_FROM + LANGUAGES.index(language))
        write_language(files, split, language, meanings, images, rng)
    write_house_hypotheses(files, split, hypotheses, new_captions)
    summary = {
        "scans": sorted({image.scan for image in images}),
        "images": count,
        "questions": len(questions),
        "hypotheses": len(hypotheses),
        "captions": sum(len(texts) for texts in new_captions.values()),
        "chance_of_answers": answer_chance,
        "chance_of_labels": label_chance,
    }
    labelled: LabelledQuestions = defaultdict(list)
    for question, text in questions:
        labelled[question.image.image_id].append((text, {question.answer: 1.0}))
    return summary, labelled


def _write_gqa_split(
    files: HouseTaskFiles,
    split: str,
    scenes: list[QuestionScene],
    choices: AnswerChoices,
    config: HouseTasksConfig,
    known: dict[str, Answers],
) -> tuple[dict[str, Any], LabelledQuestions]:
    """Write the GQA-form questions of a split; see `_write_split` for `known`."""
    rng = _words_rng(config, split, 3)
    count = round(config.gqa_questions * len(scenes))
    balanced, chance = generate_gqa_questions(scenes, count, rng, known.get("gqa"))
    known.setdefault("gqa", answers_of(balanced))
    if not balanced:
        raise _too_few_images(split, len(scenes), "GQA-form questions")
    records, choices_of = gqa_records(scenes, balanced, choices, rng)
    write_gqa(files, split, (records, choices_of), scenes, config.image_size)
    summary = {
        "gqa_questions": len(balanced),
        "all_gqa_questions": len(records),
        "chance_of_gqa_answers": chance,
    }
    labelled: LabelledQuestions = defaultdict(list)
    for question_id, record in records.items():
        if record["isBalanced"]:
            label = {record["answer"]: 1.0}
            labelled[int(question_id) // 1000].append((record["question"], label))
    return summary, labelled


def _words_rng(config: HouseTasksConfig, split: str, number: int) -> np.random.Generator:
    return np.random.default_rng([config.seed, _WORDS_TAG, SPLITS.index(split), number])


def _too_few_images(split: str, count: int, kinds: str) -> UserError:
    return UserError(
        f"{split}: {count} images are too few for balanced {kinds}; set a larger "
        f"--{split.replace('_', '-')}, or more questions and hypotheses per image"
    )


def _render_all(
    files: HouseTaskFiles, config: HouseTasksConfig, workers: int
) -> dict[str, list[HouseImage]]:
    """Render the images of all splits with a progress bar and return them by split."""
    from clipnav.envs.houses.house_set import build_missing

    plans = [plan for split in SPLITS for plan in plan_images(split, config)]
    # The viewpoints of their graphs are camera positions.
    build_missing([plan.scan for plan in plans], workers)
    render = partial(render_images, files.folder / "images")
    rendered = (
        ((plan, render(plan)) for plan in plans)
        if workers == 1
        else run_jobs(render, plans, workers, "renders images")
    )
    by_first_id: dict[str, dict[int, list[HouseImage]]] = {split: {} for split in SPLITS}
    total = sum(plan.count for plan in plans)
    with progress_bar(total=total, desc="images", unit="images") as bar:
        for plan, images in rendered:
            by_first_id[plan.split][plan.first_id] = images
            bar.update(plan.count)
    # Sorted by image id, because workers finish in any order.
    return {
        split: [image for first in sorted(groups) for image in groups[first]]
        for split, groups in by_first_id.items()
    }


def plan_images(split: str, config: HouseTasksConfig) -> list[ImagePlan]:
    """Distribute the images of a split evenly over its houses."""
    from clipnav.envs.houses.building.sets import HOUSE_SETS

    house_set = HOUSE_SETS[config.set]
    further = HOUSE_SETS["annex"].scans["train"] if config.set == "mini" else ()
    train, unseen = (*house_set.scans["train"], *further), house_set.scans["val_unseen"]
    if not 2 <= config.houses <= len(train) + len(unseen):
        raise UserError(f"--houses {config.houses}: must be from 2 to {len(train) + len(unseen)}")
    unseen_count = min(max(1, config.houses // 5), len(unseen))
    is_unseen = split == "val_unseen"
    scans = unseen[:unseen_count] if is_unseen else train[: config.houses - unseen_count]
    count = int(getattr(config, split))
    if count < 1:
        raise UserError(f"--{split.replace('_', '-')} {count}: must be at least 1")
    seen = {"train": False, "val_seen": True, "val_unseen": None}[split]
    bounds = [count * k // len(scans) for k in range(len(scans) + 1)]
    return [
        ImagePlan(scan, split, seen, _FIRST_ID[split] + a, b - a, config.image_size, config.seed)
        for scan, a, b in zip(scans, bounds, bounds[1:], strict=False)
        if b > a
    ]
