"""Answers of confidence estimators: to val and test, or to a user's questions about an image.

Those to val and test are read from predictions files, which other models may have, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.vl_tasks.classification.answers import AnswerVocabulary
from clipnav.vl_tasks.classification.task import ANSWERS
from clipnav.vl_tasks.data.questions import Question, read_questions
from clipnav.vl_tasks.data_folders import REGIONS, data_folder
from clipnav.vl_tasks.reliability.folder import (
    DESCRIPTION,
    PARTS_FILE,
    OpenedSelector,
    open_selector,
    predictions_path,
    read_description,
)
from clipnav.vl_tasks.reliability.methods import predict_rows
from clipnav.vl_tasks.reliability.outputs import compute_outputs, outputs_of
from clipnav.vl_tasks.reliability.parts import (
    input_files,
    questions_of_parts,
    read_parts,
    read_split,
)
from clipnav.vl_tasks.reliability.scores.report import (
    ModelAnswers,
    ScoredAnswers,
    mixture,
    score_answers,
    score_predictions_file,
)
from clipnav.vl_tasks.text.normalising import Variant
from clipnav.vl_tasks.training import warn_of_training_data
from clipnav.vl_tasks.vqa.answering import as_questions

Divided = Mapping[str, Sequence[Question]]


@dataclass(frozen=True)
class Shift:
    """Questions of another distribution that are mixed into test.

    Attributes:
        data: The name "house" or "easy-vqa", or a data folder. Region features, for models that use
            them, are in its folder regions.
        split: Split of the data.
        share: Share of the shifted questions in the mixture.
        seed: Random seed of the mixture.
    """

    data: str
    split: str
    share: float
    seed: int


def read_divided(questions: Path, annotations: Path, parts: Path) -> Divided:
    """Read questions with answers, and divide them."""
    return questions_of_parts(read_questions(questions, annotations), read_parts(parts), str(parts))


def divided_of_selector(folder: Path) -> Divided:
    """Read the divided questions of a confidence estimator."""
    description = read_description(folder)
    files = Path(description.questions), Path(description.annotations)
    return read_divided(*files, folder / PARTS_FILE)


def check_same_questions(models: Sequence[tuple[Path, Divided]]) -> None:
    """Check that models answer the same questions, so that one table can compare them.

    The texts may differ, as in translations.
    """
    (first, expected), *others = models
    for path, divided in others:
        for part in ("val", "test"):
            one, other = (
                {row.question_id: (row.image_id, row.answers) for row in questions[part]}
                for questions in (expected, divided)
            )
            different = sorted(k for k in one.keys() | other.keys() if one.get(k) != other.get(k))
            if different:
                raise UserError(
                    f"{first} and {path}: their questions of {part} differ, such as question_id "
                    f"{different[0]}; compare models of one split and division (--parts)"
                )


def answers_of_file(
    name: str, test: Path, val: Path, divided: Divided, variant: Variant
) -> ModelAnswers:
    """Read the answers of a model from predictions files of val and test."""
    scored = {
        part: score_predictions_file(path, divided[part], variant)
        for part, path in (("val", val), ("test", test))
    }
    return ModelAnswers(name, scored["val"], scored["test"])


def answers_of_selector(
    name: str,
    folder: Path,
    divided: Divided,
    variant: Variant,
    shift: Shift | None = None,
    device: str = "cpu",
) -> ModelAnswers:
    """Read the answers of a confidence estimator; with a shift, answer the shifted questions."""
    paths = predictions_path(folder, "test"), predictions_path(folder, "val")
    answers = answers_of_file(name, *paths, divided, variant)
    if shift is None:
        return answers
    shifted = _shifted_answers(open_selector(folder, device=device), shift, variant, device)
    return replace(answers, test=mixture(answers.test, shifted, shift.share, shift.seed))


def _shifted_answers(
    selector: OpenedSelector, shift: Shift, variant: Variant, device: str
) -> ScoredAnswers:
    """Answer the shifted questions with the VQA model and the estimator of a folder."""
    vqa = replace(selector.vqa, data=shift.data, images=None)
    folder = data_folder(vqa, "--shift.data")
    if vqa.vision and vqa.regions is not None:
        # Those of the run belong to other images, which can have the same ids.
        vqa = replace(vqa, regions=folder / REGIONS)
        if not (folder / REGIONS).is_dir():
            raise FileNotFoundError(
                f"{folder / REGIONS}: no such folder; put the region features of the shifted "
                f"images there, which the model of {selector.run} requires"
            )
    split = read_split(folder, shift.split, "--shift.split")
    if split.questions_file.resolve().parent == Path(selector.description.questions).parent:
        warn_of_training_data(
            vqa,
            [shift.split],
            f"{selector.run} was trained on it, so its questions are not shifted; name another "
            "split with --shift.split",
        )
    questions = split.questions
    images = input_files(vqa, questions)
    outputs = outputs_of(selector.run, vqa, questions, images, device)
    rows, unknown = np.arange(len(questions)), selector.description.unknown
    found = predict_rows(selector.estimator, outputs, rows, unknown, device=device)
    answers = AnswerVocabulary.load(selector.run / ANSWERS)
    return score_answers(found.by_question(questions, answers), questions, variant)


@dataclass(frozen=True)
class ReliableAnswer:
    """An answer, or an abstention.

    Attributes:
        answer: Most probable answer.
        confidence: Confidence in it, 0..1.
        threshold: Lowest confidence that is answered; None abstains always.
    """

    answer: str
    confidence: float
    threshold: float | None

    @property
    def is_given(self) -> bool:
        """Whether the confidence reaches the threshold."""
        return self.threshold is not None and self.confidence >= self.threshold

    @property
    def text(self) -> str:
        """The answer with its confidence, or the reason for abstaining."""
        confidence = f"confidence {self.confidence:.2f}"
        if self.threshold is None:
            return f"not sure: {confidence}, and no threshold keeps the tolerated risk"
        threshold = f"threshold {self.threshold:.2f}"
        if self.is_given:
            return f"{self.answer} ({confidence}, {threshold})"
        return f"not sure: {confidence}, {threshold}"


def answer_or_abstain(
    selector: Path,
    run: Path | None,
    image: Path,
    questions: Sequence[str],
    max_risk: float,
    device: str = "cpu",
) -> list[ReliableAnswer]:
    """Answer questions about an image with a tolerated risk."""
    opened = open_selector(selector, run, device)
    thresholds = {one.risk: one.threshold for one in opened.description.thresholds}
    if max_risk not in thresholds:
        raise UserError(
            f"{selector / DESCRIPTION}: no threshold for a risk of {max_risk:g} %; choose one of "
            f"{', '.join(f'{risk:g}' for risk in thresholds)}, or train a selector with other "
            "--risks"
        )
    outputs = compute_outputs(opened.run, as_questions(questions), {0: image}, device)
    rows, unknown = np.arange(len(questions)), opened.description.unknown
    found = predict_rows(opened.estimator, outputs, rows, unknown, device=device)
    texts = AnswerVocabulary.load(opened.run / ANSWERS).answers
    return [
        ReliableAnswer(texts[number], float(confidence), thresholds[max_risk])
        for number, confidence in zip(*found, strict=True)
    ]
