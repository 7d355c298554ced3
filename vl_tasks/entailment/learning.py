"""Train a visual entailment model and evaluate its labels."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.vl_tasks.clip_vil_p.fine_tuning_learner import fine_tune
from clipnav.vl_tasks.data.pairs import (
    LABELS,
    UNLABELLED,
    Hypothesis,
    accuracy_by_class,
    hypothesis_images,
    read_hypotheses,
)
from clipnav.vl_tasks.data_folders import data_folder, image_folder, split_file
from clipnav.vl_tasks.entailment.inputs import FineTuningInputs, FusedInputs, Inputs, TowerInputs
from clipnav.vl_tasks.settings.configs import HELD_OUT, EntailmentConfig
from clipnav.vl_tasks.subsets import parted
from clipnav.vl_tasks.text.sentences import run_vocabulary
from clipnav.vl_tasks.training import FinalScores, train_task


class EntailmentLearner:
    """Entailment network with its training and evaluation hypotheses.

    Args:
        config: Settings of the run.
    """

    metric = "accuracy"

    def __init__(self, config: EntailmentConfig) -> None:
        self.config = config
        self.folder = data_folder(config)
        self.splits: dict[str, list[Hypothesis]] = {}
        # Hypotheses without agreement of the annotators have no label to train on.
        examples = [one for one in self._read("train") if one.label != UNLABELLED]
        if config.select_by == HELD_OUT:
            self.splits[HELD_OUT], examples = parted(examples, lambda one: one.image)
        self.examples = examples
        self.records = len(examples)
        for split in config.evaluated_splits:
            if split != HELD_OUT:
                self.splits[split] = self._read(split)
        if config.submit is not None and config.submit not in self.splits:
            self.splits[config.submit] = self._read(config.submit, secret=True)
        self.inputs: Inputs = self._inputs()
        self.network = self.inputs.network
        self.metadata = self.inputs.metadata
        self.encoded: Any = self.inputs.encode(examples)
        self._split_inputs: dict[str, Any] = {}
        self._labels = np.array([one.label for one in examples])

    def loss(self, rows: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        """Compute the cross-entropy of the training hypotheses `rows`."""
        assert not isinstance(self.inputs, FineTuningInputs)
        return self.loss_of(self.inputs.compute(self.examples, self.encoded, rows), rows), {}

    def loss_of(self, logits: Tensor, rows: np.ndarray) -> Tensor:
        """Compute the cross-entropy of the training hypotheses `rows` from their logits."""
        return F.cross_entropy(logits, torch.from_numpy(self._labels[rows]).to(logits.device))

    def evaluate(self) -> dict[str, float]:
        """Return the accuracy 0..1 on the split `select_by`, overall and by label."""
        return self.score(self.config.select_by)

    def predict(self, split: str) -> list[int]:
        """Return the most probable label of each hypothesis of a split."""
        hypotheses = self.splits[split]
        if split not in self._split_inputs:
            self._split_inputs[split] = self.inputs.encode(hypotheses)
        labels = np.empty(len(hypotheses), np.int64)
        for rows, logits in self.inputs.logits(hypotheses, self._split_inputs[split]):
            labels[rows] = logits.argmax(1).cpu().numpy()
        return labels.tolist()

    def score(self, split: str) -> dict[str, float]:
        """Return the accuracy 0..1 on a split, overall and by label."""
        return accuracy_by_class([one.label for one in self.splits[split]], self.predict(split))

    def start(self, run: Path) -> None:
        """Write the vocabulary."""
        self.inputs.start(run)

    def final_scores(self, split: str) -> Iterator[FinalScores]:
        """Yield the accuracies of a split."""
        scores = self.score(split)
        classes = ", ".join(f"{name} {100 * value:.1f}" for name, value in scores.items())
        everything = len(self.splits[split])
        scored = sum(one.label != UNLABELLED for one in self.splits[split])
        count = f"{scored} hypotheses"
        if scored < everything:
            count = f"{scored} of {everything} hypotheses, the others have no label"
        text = f"{split} ({count}): {classes}"
        yield FinalScores(split, {"hypotheses": scored, **scores}, text)

    def write_submission(self, split: str, path: Path) -> None:
        """Write the labels of the hypotheses of a split."""
        rows = [
            {"pairID": one.pair_id, "prediction": LABELS[label]}
            for one, label in zip(self.splits[split], self.predict(split), strict=True)
        ]
        if distributed.rank() == 0:
            write_text(path, json.dumps(rows))

    def _inputs(self) -> Inputs:
        """Build the network and its inputs."""
        config, images = self.config, self._pictures()
        if config.model == "clip-vil-p":
            return FineTuningInputs(config, images, config.resume)
        words = run_vocabulary(config.resume, [one.text for one in self.examples])
        if config.model == "two-tower":
            return TowerInputs(config, images, words)
        inputs = FusedInputs(config, images, words)
        if config.resume is None:
            inputs.initialise(list(dict.fromkeys(one.image for one in self.examples)))
        return inputs

    def _read(self, split: str, secret: bool = False) -> list[Hypothesis]:
        path = split_file(self.folder, split, ".jsonl", ".json", ".db")
        hypotheses = read_hypotheses(path, secret)
        if not secret and all(one.label == UNLABELLED for one in hypotheses):
            raise UserError(
                f"{path}: no hypothesis has a label; train and evaluate on splits with labels, and "
                "name a split without labels with --submit only"
            )
        return hypotheses

    def _pictures(self) -> dict[str, Path]:
        if not self.config.vision:
            return {}
        hypotheses = [*self.examples, *(one for split in self.splits.values() for one in split)]
        return hypothesis_images(hypotheses, image_folder(self.config, self.folder))


def train_entailment(config: EntailmentConfig) -> None:
    """Train an entailment model, evaluate the best checkpoint, and print and save the scores.

    Raises:
        OSError: A data file cannot be read.
        UserError: A data file is invalid; names file and record.
        DivergedError: The training diverged.
    """
    train = fine_tune if config.model == "clip-vil-p" else train_task
    train(config, EntailmentLearner)
