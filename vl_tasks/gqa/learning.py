"""Train a GQA model and score its answers with the official metrics."""

from collections import ChainMap, Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.vl_tasks.clip_vil_p.fine_tuning_learner import fine_tune
from clipnav.vl_tasks.data.images import find_named
from clipnav.vl_tasks.data_folders import data_folder, image_folder
from clipnav.vl_tasks.gqa.questions import ImageQuestion
from clipnav.vl_tasks.gqa.scores import score_gqa, summary_line, type_lines
from clipnav.vl_tasks.gqa.splits import GqaSplit, read_scored_split, read_split, read_submitted
from clipnav.vl_tasks.gqa.submissions import write_gqa_predictions
from clipnav.vl_tasks.grids.regions import RegionSource, find_named_regions
from clipnav.vl_tasks.grids.sources import open_source
from clipnav.vl_tasks.settings.configs import HELD_OUT, Reduction
from clipnav.vl_tasks.settings.gqa import GqaConfig
from clipnav.vl_tasks.subsets import parted
from clipnav.vl_tasks.text.sentences import run_vocabulary
from clipnav.vl_tasks.training import FinalScores, train_task, warn_of_training_data
from clipnav.vl_tasks.vqa.answers import AnswerVocabulary
from clipnav.vl_tasks.vqa.inputs import FeatureInputs, FineTuningInputs, Source, best_answers
from clipnav.vl_tasks.vqa.learning import ANSWERS, given_answers, no_answers, scaled_answer_loss


def class_loss(logits: Tensor, classes: Tensor, reduction: Reduction = "mean") -> Tensor:
    """Compute the cross-entropy of the classes (B,), reduced over questions.

    The losses of the three branches (B, 3, C) of MoVie+MCAN are added.
    """
    branches = logits[:, None] if logits.dim() == 2 else logits
    targets = classes[:, None].expand(branches.shape[:2])
    total = F.cross_entropy(branches.flatten(0, 1), targets.flatten(), reduction="sum")
    return total if reduction == "sum" else total / len(logits)


class GqaLearner:
    """Question answering network with the training and evaluation questions of GQA.

    Args:
        config: Settings of the run.
    """

    metric = "accuracy"

    def __init__(self, config: GqaConfig) -> None:
        self.config = config
        self.folder = data_folder(config)
        self.splits: dict[str, GqaSplit] = {}
        warn_of_training_data(config, config.evaluated_splits)
        examples = self._read_training()
        for split in config.evaluated_splits:
            if split != HELD_OUT:
                self.splits[split] = read_scored_split(self.folder, split, config.consistency)
        self._submitted: list[ImageQuestion] = []
        if config.submit == HELD_OUT:
            self._submitted = self.splits[HELD_OUT].questions
        elif config.submit is not None:
            self._submitted = read_submitted(self.folder, config.submit)
        self.answers = self._answer_vocabulary(examples)
        # Questions whose answer is no class cannot be learnt.
        self.examples = [one for one in examples if one.answer in self.answers.classes]
        if not self.examples:
            raise no_answers(self.folder)
        self.records = len(self.examples)
        self._classes = np.array([self.answers.classes[one.answer] for one in self.examples])
        self.inputs = self._inputs()
        self.network, self.metadata = self.inputs.network, self.inputs.metadata
        self.encoded: Any = self.inputs.encode(self.examples)

    def loss(self, rows: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        """Compute the loss of the training questions `rows`."""
        assert isinstance(self.inputs, FeatureInputs)
        return self.loss_of(self.inputs.compute(self.examples, self.encoded, rows), rows), {}

    def loss_of(self, logits: Tensor, rows: np.ndarray) -> Tensor:
        """Compute the loss of the training questions `rows` from their logits."""
        classes = torch.from_numpy(self._classes[rows]).to(logits.device)
        if self.config.loss == "bce":
            targets = F.one_hot(classes, len(self.answers)).float()
            return scaled_answer_loss(logits, targets, self.config)
        return self._class_scale() * class_loss(logits, classes, self.config.reduction)

    def evaluate(self) -> dict[str, float]:
        """Return the accuracies 0..1 on the balanced questions of the split `select_by`."""
        split = self.splits[self.config.select_by]
        scores = score_gqa(split.balanced, self.answer(split.questions))
        values = {"accuracy": scores.accuracy, "binary": scores.binary, "open": scores.open}
        return {name: value / 100 for name, value in values.items() if value is not None}

    def answer(self, questions: Sequence[ImageQuestion]) -> dict[str, str]:
        """Return the most probable answer to each question by question id."""
        return best_answers(self.inputs, self.answers, questions)

    def start(self, run: Path) -> None:
        """Write the vocabularies."""
        self.inputs.start(run)
        self.answers.save(run / ANSWERS)

    def final_scores(self, split: str) -> Iterator[FinalScores]:
        """Yield the official scores of a split."""
        part = self.splits[split]
        scores = part.score(self.answer([*part.questions, *part.entailed_questions]))
        first = f"{split} ({len(part.balanced)} balanced questions): {summary_line(scores)}"
        text = "\n  ".join([first, *type_lines(scores)])
        yield FinalScores(split, asdict(scores), text)

    def write_submission(self, split: str, path: Path) -> None:
        """Write the answers to all questions of a split."""
        answers = self.answer(self._submitted)
        if distributed.rank() == 0:
            write_gqa_predictions(path, answers)

    def _class_scale(self) -> float:
        """Return the factor of the cross-entropy.

        CLIP-ViL-Pretrain/src/tasks/gqa.py (`mce_loss`) multiplies it by the number of answers, and
        then by the loss scale or, without one, by the number of answers again.
        """
        config, answers = self.config, len(self.answers)
        scale = config.clip_vil_p.loss_scale
        if config.faithful and config.model == "clip-vil-p":
            return answers * (answers if scale is None else scale)
        return 1.0 if scale is None else scale

    def _read_training(self) -> list[ImageQuestion]:
        """Read the training questions, and set the split "held-out" if it is used."""
        config = self.config
        parts = [read_split(self.folder, split) for split in config.train_splits]
        examples = [one for part in parts for one in part.questions]
        if config.select_by == HELD_OUT:
            held_out, examples = parted(examples, lambda one: one.image_id)
            _check_distinct(held_out)
            records = ChainMap(*(dict(part.balanced) for part in parts))
            balanced = {one.question_id: records[one.question_id] for one in held_out}
            self.splits[HELD_OUT] = GqaSplit(parts[0].path, balanced)
        return examples

    def _inputs(self) -> FeatureInputs | FineTuningInputs:
        """Build the network and its inputs."""
        config = self.config
        if config.model == "clip-vil-p":
            return FineTuningInputs(config, self.answers, self._images(), config.resume)
        texts = [one.text for one in self.examples]
        words = run_vocabulary(config.resume, texts, config.tokenizer)
        inputs = FeatureInputs(config, self._source(), words, len(self.answers))
        if config.resume is None:
            inputs.initialise(list(dict.fromkeys(one.image_id for one in self.examples)))
        return inputs

    def _source(self) -> Source:
        """Open the features of all images; a model without vision requires no image files."""
        config = self.config
        if config.vision and config.regions is not None:
            regions = find_named_regions(config.regions, self._wanted())
            return RegionSource(regions, in_rows=True)
        return open_source(config, self._images() if config.vision else {})

    def _images(self) -> dict[str, Path]:
        """Find the images of all questions."""
        return find_named(image_folder(self.config, self.folder), self._wanted())

    def _wanted(self) -> dict[str, str]:
        """Return the names of all images, each with a question about it."""
        questions = [*self.examples, *self._submitted]
        for split in self.splits.values():
            questions += [*split.questions, *split.entailed_questions]
        return {one.image_id: f"question {one.question_id}" for one in questions}

    def _answer_vocabulary(self, examples: Sequence[ImageQuestion]) -> AnswerVocabulary:
        given = given_answers(self.config)
        counts = Counter(one.answer for one in examples)
        return given or AnswerVocabulary.of_counts(counts, self.config.min_count)


def _check_distinct(held_out: Sequence[ImageQuestion]) -> None:
    """Check that held-out questions, which are scored by id, have different ids."""
    counts = Counter(one.question_id for one in held_out)
    repeated = next((name for name, count in counts.items() if count > 1), None)
    if repeated is not None:
        raise UserError(
            f"--select-by held-out: question {repeated} occurs in two of the training splits, so "
            "that its answer cannot be scored; train on one of them, or select by another split"
        )


def train_gqa(config: GqaConfig) -> None:
    """Train a GQA model, score the best checkpoint, and print and save the scores.

    Raises:
        OSError: A data file cannot be read.
        UserError: A data file is invalid; names file and record.
        DivergedError: The training diverged.
    """
    train = fine_tune if config.model == "clip-vil-p" else train_task
    train(config, GqaLearner)
