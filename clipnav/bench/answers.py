"""Parts of suites about pictures: answers, labels and captions, which are scored again."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np

from clipnav.bench.entrants import BenchTask, Entrant
from clipnav.bench.kinds import RunOptions, Walked
from clipnav.bench.suites import Place, Suite, SuitePart, check_data
from clipnav.envs.metrics import Metric
from clipnav.storage.errors import UserError
from clipnav.vl_tasks.captioning.metrics import cider_d, rouge_l
from clipnav.vl_tasks.data.captions import caption_images, read_captions
from clipnav.vl_tasks.data.images import find_numbered
from clipnav.vl_tasks.data.pairs import LABELS, hypothesis_images, read_hypotheses
from clipnav.vl_tasks.data.questions import read_questions
from clipnav.vl_tasks.data_folders import split_file
from clipnav.vl_tasks.text.ptb import python_words
from clipnav.vl_tasks.vqa.accuracy import vqa_accuracy

_SURE = 0.5  # confidence from which an answer of the part "reliability" counts as given
_COSTS = {"phi1": 1, "phi10": 10, "phi100": 100}


@dataclass(frozen=True)
class PictureItem:
    """A picture, and a question or sentence about it; "" for captions.

    Attributes:
        item_id: Id of the item.
        image: The image file.
        text: Question or sentence.
    """

    item_id: str
    image: Path
    text: str = ""


class _Answer(msgspec.Struct, forbid_unknown_fields=True):
    text: Annotated[str, msgspec.Meta(max_length=10_000)]
    confidence: float


@dataclass(frozen=True, eq=False)
class PicturePart:
    """Items of a part with their right answers.

    Attributes:
        part: The part.
        folder: Folder of the data.
        items: The items.
        right: Annotated answers, the label or the captions of each item.
        data_sha256: Digest of questions and answers, without pictures.
    """

    part: SuitePart
    folder: Path
    items: list[PictureItem]
    right: list[tuple[str, ...]]
    data_sha256: str

    @property
    def ids(self) -> list[str]:
        """Ids of the items, in the order of results."""
        return [item.item_id for item in self.items]

    @property
    def metrics(self) -> dict[str, Metric]:
        """Metrics of the part by short name."""
        factors = {"CIDEr-D": 1}
        return {n: Metric(n, n, factors.get(n, 100), "") for n in self.part.metrics}

    def clusters(self, kind: str) -> list[str]:
        """Return the picture of each item."""
        return [item.image.name for item in self.items]

    def problems(self, answers: Sequence[Any]) -> dict[int, str]:
        """Return the problem of each answer that is not a text with a confidence in 0..1."""
        problems = {}
        for number, answer in enumerate(answers):
            try:
                given = msgspec.convert(answer, _Answer)
            except msgspec.ValidationError as error:
                problems[number] = f"cannot be read ({error})"
                continue
            if not 0 <= given.confidence <= 1:
                problems[number] = f"has the confidence {given.confidence:g}, not in 0..1"
        return problems

    def scores(self, answers: Sequence[Any]) -> dict[str, np.ndarray]:
        """Return the scores (B,) of answers by the short name of the metric."""
        columns = _SCORES[self.part.dataset](self, [msgspec.convert(a, _Answer) for a in answers])
        return {name: np.asarray(columns[name], dtype=np.float64) for name in self.part.metrics}

    @cached_property
    def references(self) -> list[tuple[str, ...]]:
        """Words of the captions of each item, separated by spaces."""
        return [tuple(" ".join(python_words(text)) for text in texts) for texts in self.right]


def _accuracies(part: PicturePart, answers: Sequence[_Answer]) -> list[float]:
    return [vqa_accuracy(a.text, right) for a, right in zip(answers, part.right, strict=True)]


def _reliability(part: PicturePart, answers: Sequence[_Answer]) -> dict[str, Any]:
    """Effective reliability: accuracy of a given answer, -cost if it is wrong, 0 if withheld."""
    accuracy = np.array(_accuracies(part, answers))
    given = np.array([answer.confidence >= _SURE for answer in answers])
    columns: dict[str, Any] = {
        name: np.where(given, np.where(accuracy > 0, accuracy, -cost), 0.0)
        for name, cost in _COSTS.items()
    }
    return columns | {"coverage": given, "accuracy": accuracy}


def _captions(part: PicturePart, answers: Sequence[_Answer]) -> dict[str, Any]:
    words = [" ".join(python_words(answer.text)) for answer in answers]
    pairs = zip(words, part.references, strict=True)
    rouge = [rouge_l(caption, given) for caption, given in pairs]
    return {"CIDEr-D": cider_d(words, part.references), "ROUGE-L": rouge}


_SCORES: dict[str, Callable[[PicturePart, Sequence[_Answer]], dict[str, Any]]] = {
    "vqa": lambda part, answers: {"accuracy": _accuracies(part, answers)},
    "reliability": _reliability,
    "snli-ve": lambda part, answers: {
        "accuracy": [float(a.text == r) for a, (r,) in zip(answers, part.right, strict=True)]
    },
    "captions": _captions,
}


def load(part: SuitePart, place: Place) -> PicturePart:
    """Load the items of a part; the house tasks are generated in the cache if they are missing."""
    if part.dataset not in _SCORES:
        raise UserError(f"{part.name}: no task {part.dataset!r}, only {', '.join(_SCORES)}")
    if place.data_dir is None:
        from clipnav.storage.processes import usable_cpus
        from clipnav.vl_tasks.house_tasks import cached_house_tasks

        folder = cached_house_tasks(workers=usable_cpus()).folder
    else:
        folder = place.data_dir
    paths, items, right = _READ[part.dataset](folder, part.split)
    digest = hashlib.sha256(b"".join(hashlib.sha256(p.read_bytes()).digest() for p in paths))
    check_data(part, digest.hexdigest())
    return PicturePart(part, folder, items, right, digest.hexdigest())


Read = tuple[list[Path], list[PictureItem], list[tuple[str, ...]]]


def _read_questions(folder: Path, split: str) -> Read:
    endings = "_questions.json", "_annotations.json"
    paths = [split_file(folder, split, ending) for ending in endings]
    questions = read_questions(paths[0], paths[1])
    images = find_numbered(folder / "images", {q.image_id: str(q.question_id) for q in questions})
    items = [PictureItem(str(q.question_id), images[q.image_id], q.text) for q in questions]
    return paths, items, [tuple(question.answers) for question in questions]


def _read_hypotheses(folder: Path, split: str) -> Read:
    path = split_file(folder, split, ".jsonl")
    records = [one for one in read_hypotheses(path) if one.label >= 0]
    images = hypothesis_images(records, folder / "images")
    items = [PictureItem(one.pair_id, images[one.image_id], one.text) for one in records]
    return [path], items, [(LABELS[one.label],) for one in records]


def _read_captions(folder: Path, split: str) -> Read:
    (path,) = folder.glob("dataset*.json")
    records = read_captions(path, split)
    images = caption_images(records, [folder / "images"])
    items = [PictureItem(str(one.image_id), images[one.image_id]) for one in records]
    return [path], items, [one.raw for one in records]


_READ: dict[str, Callable[[Path, str], Read]] = {
    "vqa": _read_questions,
    "reliability": _read_questions,
    "snli-ve": _read_hypotheses,
    "captions": _read_captions,
}


def walk(
    suite: Suite, part: PicturePart, entrant: Entrant, seed: int, options: RunOptions
) -> Walked:
    """Let an agent answer the items of a part; it gets pictures and texts alone."""
    if entrant.kind == "vlm":
        raise UserError(f"{part.part.name}: models behind a server cannot be asked about pictures")
    if entrant.run is not None:
        answer = _RUNS[part.part.dataset](entrant.run, part, options)
    else:
        assert entrant.make is not None
        words: tuple[str, ...] = ()
        about = BenchTask(part.part.name, 0, options.batch_size, 0, words, None, 0)
        agent: Any = entrant.make(about, seed)
        answer = agent.answer
    started, given = time.perf_counter(), []
    for start in range(0, len(part.items), options.batch_size):
        given += answer(part.items[start : start + options.batch_size])
    seconds = time.perf_counter() - started
    answers = [{"text": str(text), "confidence": round(float(sure), 6)} for text, sure in given]
    for number, problem in part.problems(answers).items():
        raise UserError(f"{part.part.name} {part.ids[number]}: the answer {problem}")
    return Walked(answers, part.scores(answers), seconds)


AnswerItems = Callable[[Sequence[PictureItem]], Sequence[tuple[str, float]]]


def _answering(run: Path, part: PicturePart, options: RunOptions) -> AnswerItems:
    """Return the answers of a run of question answering."""
    from clipnav.vl_tasks.data.questions import Question
    from clipnav.vl_tasks.vqa.answering import open_run

    numbers = {item.image: number for number, item in enumerate(part.items)}
    images = {number: path for path, number in numbers.items()}
    opened = open_run(run, images, options.device, cached=True)

    def answer(items: Sequence[PictureItem]) -> list[tuple[str, float]]:
        asked = [Question(k, numbers[item.image], item.text) for k, item in enumerate(items)]
        answers = [("", 0.0)] * len(items)
        for rows, logits in opened.inputs.logits(asked):
            exclusive = opened.config.is_exclusive
            best = (logits.softmax(1) if exclusive else logits.sigmoid()).cpu().max(1)
            for row, sure, k in zip(rows, best.values.tolist(), best.indices.tolist(), strict=True):
                answers[row] = opened.answers.answers[k], sure
        return answers

    return answer


def _labelling(run: Path, part: PicturePart, options: RunOptions) -> AnswerItems:
    """Return the labels of a run of visual entailment."""
    from clipnav.training.settings import read_config
    from clipnav.vl_tasks.entailment.settings import EntailmentConfig
    from clipnav.vl_tasks.entailment.task import EntailmentTask

    split = part.part.split
    config = replace(
        read_config(run, EntailmentConfig),
        resume=run,
        data=str(part.folder),
        select_by=split,
        evaluation_splits=(split,),
        device=options.device,
    )
    task = EntailmentTask(config)
    task.load_model(run)
    task.network.eval()
    known = {record.pair_id: record for record in task.splits[split]}

    def answer(items: Sequence[PictureItem]) -> list[tuple[str, float]]:
        classes = task.predict([known[item.item_id] for item in items])
        return [(LABELS[k], 1.0) for k in classes]

    return answer


def _captioning(run: Path, part: PicturePart, options: RunOptions) -> AnswerItems:
    """Return the captions of a run of a captioner."""
    from clipnav.vl_tasks.captioning.writing import LoadedCaptioner

    captioner = LoadedCaptioner(run, device=options.device)
    return lambda items: [(text, 1.0) for text in captioner.captions([i.image for i in items])]


_RUNS: dict[str, Callable[[Path, PicturePart, RunOptions], AnswerItems]] = {
    "vqa": _answering,
    "reliability": _answering,
    "snli-ve": _labelling,
    "captions": _captioning,
}
