"""A frozen VQA model with its outputs on a split that is divided into dev, val and test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.training.settings import read_config
from clipnav.vl_tasks.classification.answers import UNKNOWN, AnswerVocabulary
from clipnav.vl_tasks.classification.task import ANSWERS
from clipnav.vl_tasks.data.questions import Question
from clipnav.vl_tasks.data_folders import data_folder
from clipnav.vl_tasks.house_tasks.languages.lexicons import ENGLISH
from clipnav.vl_tasks.reliability.folder import PARTS_FILE
from clipnav.vl_tasks.reliability.methods import Confidences, Estimator, predict_rows
from clipnav.vl_tasks.reliability.outputs import Outputs, model_digest, outputs_of
from clipnav.vl_tasks.reliability.parts import divide_images, questions_of_parts, read_parts
from clipnav.vl_tasks.reliability.scores.answers import score_answers
from clipnav.vl_tasks.reliability.scores.metrics import Answers
from clipnav.vl_tasks.reliability.settings import SelectorConfig
from clipnav.vl_tasks.reliability.splits import QuestionSplit, input_files, read_split
from clipnav.vl_tasks.settings.runs import HELD_OUT
from clipnav.vl_tasks.training import warn_of_training_data
from clipnav.vl_tasks.vqa.settings import VqaConfig


class Part(NamedTuple):
    """A part of the divided split.

    Attributes:
        rows: (N,) numbers of its questions within the split.
        questions: The questions.
    """

    rows: np.ndarray
    questions: list[Question]


@dataclass(frozen=True)
class SelectionTask:
    """A frozen VQA model with its outputs on a divided split.

    Attributes:
        config: Settings of the estimator.
        vqa: Settings of the VQA run.
        split: The divided split.
        division: Image ids by part.
        parts: The parts by name.
        outputs: Outputs of the model on all questions of the split.
        answers: Answer vocabulary of the model.
        digest: SHA-256 of the model's weights.
    """

    config: SelectorConfig
    vqa: VqaConfig
    split: QuestionSplit
    division: Mapping[str, Sequence[int]]
    parts: Mapping[str, Part]
    outputs: Outputs
    answers: AnswerVocabulary
    digest: str

    @property
    def unknown(self) -> int | None:
        """Class that is never an answer; None if there is none."""
        return self.answers.classes.get(UNKNOWN)

    def predict(self, estimator: Estimator | None, part: str) -> Confidences:
        """Return answers and confidence of a part."""
        config, rows = self.config, self.parts[part].rows
        size, device = config.evaluation_batch_size, config.device
        return predict_rows(estimator, self.outputs, rows, self.unknown, size, device)

    def score(self, part: str, predicted: Confidences) -> Answers:
        """Return the official accuracy and the confidence of answers to a part."""
        questions = self.parts[part].questions
        predictions = predicted.by_question(questions, self.answers)
        return score_answers(predictions, questions, self.config.variant).answers


def split_name(config: SelectorConfig, vqa: VqaConfig) -> str:
    """Return the name of the split to divide."""
    # Without --evaluation-splits, a run evaluates the split that selects its weights.
    name = config.split or (vqa.evaluation_splits or vqa.evaluated_splits)[-1]
    if name == HELD_OUT:
        raise UserError(
            f"{config.run}: its evaluation split {HELD_OUT} is a part of the training images; name "
            "another split with answers with --split"
        )
    return name


def open_task(config: SelectorConfig) -> SelectionTask:
    """Read the divided split, and compute the outputs of the VQA model if they are not cached."""
    if config.run is None:
        raise UserError("no run given; write clipnav train-selector RUN --method selector")
    vqa = read_config(config.run, VqaConfig)
    if ENGLISH not in vqa.languages:
        raise UserError(
            f"{config.run}: fine-tuned in {', '.join(vqa.languages)}, but selectors learn from "
            "English questions; name a run that was fine-tuned in English, too"
        )
    name = split_name(config, vqa)
    split = read_split(data_folder(vqa), name)
    warn_of_training_data(
        vqa,
        [name],
        f"{config.run} was trained on it, so its answers are too often correct there, and the "
        "thresholds do not keep their risk on other images; name another split with --split, or "
        "train the model without this one",
    )
    path = config.parts if config.resume is None else config.resume / PARTS_FILE
    division = divide_images(split.questions) if path is None else read_parts(path)
    divided = questions_of_parts(split.questions, division, str(path or split.questions_file))
    number = {one.question_id: row for row, one in enumerate(split.questions)}
    parts = {
        name: Part(np.array([number[one.question_id] for one in rows]), rows)
        for name, rows in divided.items()
    }
    images = input_files(vqa, split.questions)
    outputs = outputs_of(config.run, vqa, split.questions, images, config.device)
    answers = AnswerVocabulary.load(config.run / ANSWERS)
    return SelectionTask(
        config, vqa, split, division, parts, outputs, answers, model_digest(config.run)
    )
