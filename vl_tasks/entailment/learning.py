"""Train a visual entailment model and evaluate its labels."""

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from storage import write_text
from training.checkpoints import VOCABULARY
from vl_tasks.data.pairs import (
    LABELS,
    UNLABELLED,
    Hypothesis,
    accuracy_by_class,
    hypothesis_images,
    read_hypotheses,
)
from vl_tasks.entailment.networks import Fused, FusedInputs, TowerInputs, Towers
from vl_tasks.grids.sources import fit_scale
from vl_tasks.house_tasks.folders import data_folder, image_folder, split_file
from vl_tasks.settings.configs import HELD_OUT, EntailmentConfig
from vl_tasks.text.sentences import Sentences, build_vocabulary, initialize_from_glove
from vl_tasks.text.vocabulary import Vocabulary
from vl_tasks.training import FinalScores, in_batches, parted, train_task


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
        learnt = [one for one in self._read("train") if one.label != UNLABELLED]
        if config.select_by == HELD_OUT:
            self.splits[HELD_OUT], learnt = parted(learnt, lambda one: one.image)
        self.learnt = learnt
        self.records = len(learnt)
        for split in {config.select_by, *config.evaluation_splits} - {HELD_OUT}:
            self.splits[split] = self._read(split)
        if config.submit is not None and config.submit not in self.splits:
            self.splits[config.submit] = self._read(config.submit, secret=True)
        self.words = self._vocabulary()
        images = self._pictures()
        if config.model == "fused":
            self.inputs = FusedInputs(config, images, self.words)
            network = Fused(config, self.inputs.source.channels, len(self.words))
            self._begin(network)
        else:
            self.inputs = TowerInputs(config, images)
            network = Towers(config, self.inputs.width)
        self.metadata = self.inputs.metadata
        self.network: Fused | Towers = network.to(config.device)
        self._sentences = self.inputs.encode(learnt)
        self._split_sentences: dict[str, Sentences | Tensor] = {}
        self._labels = np.array([one.label for one in learnt])

    def loss(self, rows: np.ndarray) -> tuple[Tensor, dict[str, float]]:
        """Compute the cross-entropy of the training hypotheses `rows`."""
        scores = self._scores(self.learnt, self._sentences, rows)
        labels = torch.from_numpy(self._labels[rows]).to(scores.device)
        return F.cross_entropy(scores, labels), {}

    def evaluate(self) -> dict[str, float]:
        """Return the accuracy 0..1 on the split `select_by`, overall and by label."""
        return self.score(self.config.select_by)

    def predict(self, split: str) -> list[int]:
        """Return the most probable label of each hypothesis of a split."""
        self.network.eval()
        hypotheses = self.splits[split]
        if split not in self._split_sentences:
            self._split_sentences[split] = self.inputs.encode(hypotheses)
        sentences = self._split_sentences[split]
        labels: list[int] = []
        with torch.inference_mode():
            for rows in in_batches(len(hypotheses), self.config.evaluation_batch):
                labels += self._scores(hypotheses, sentences, rows).argmax(1).tolist()
        return labels

    def score(self, split: str) -> dict[str, float]:
        """Return the accuracy 0..1 on a split, overall and by label."""
        return accuracy_by_class([one.label for one in self.splits[split]], self.predict(split))

    def start(self, run: Path) -> None:
        """Write the vocabulary."""
        self.words.save(run / VOCABULARY)

    def final_scores(self, split: str) -> Iterator[FinalScores]:
        """Yield the accuracies of a split."""
        scores = self.score(split)
        classes = ", ".join(f"{name} {100 * value:.1f}" for name, value in scores.items())
        text = f"{split} ({len(self.splits[split])} hypotheses): {classes}"
        yield FinalScores(split, scores, text)

    def write_submission(self, split: str, path: Path) -> None:
        """Write the labels of the hypotheses of a split."""
        rows = [
            {"pairID": one.pair_id, "prediction": LABELS[label]}
            for one, label in zip(self.splits[split], self.predict(split), strict=True)
        ]
        write_text(path, json.dumps(rows))

    def _scores(self, hypotheses, sentences, rows) -> Tensor:
        return self.network(*self.inputs.batch(hypotheses, sentences, rows))

    def _begin(self, network: Fused) -> None:
        """Fit the feature scale and load GloVe embeddings, for a new run only."""
        if self.config.resume is not None:
            return
        assert isinstance(self.inputs, FusedInputs)
        if self.config.standardise:
            pictures = list(dict.fromkeys(one.image for one in self.learnt))
            fit_scale(network.scale, self.inputs.source, pictures)
        if self.config.glove is not None:
            initialize_from_glove(network.reasoner.word_vectors, self.config.glove, self.words)

    def _read(self, split: str, secret: bool = False) -> list[Hypothesis]:
        return read_hypotheses(split_file(self.folder, split, r"\.jsonl?"), secret)

    def _pictures(self) -> dict[str, Path]:
        if not self.config.vision:
            return {}
        hypotheses = [*self.learnt, *(one for split in self.splits.values() for one in split)]
        return hypothesis_images(hypotheses, image_folder(self.config, self.folder))

    def _vocabulary(self) -> Vocabulary:
        if self.config.resume is not None:
            return Vocabulary.load(self.config.resume / VOCABULARY)
        return build_vocabulary([one.text for one in self.learnt])


def train_entailment(config: EntailmentConfig) -> None:
    """Train an entailment model, evaluate the best checkpoint, and print and save the scores.

    Raises:
        OSError: A data file cannot be read.
        ValueError: A data file is invalid; names file and record.
        DivergedError: The training diverged.
    """
    train_task(config, EntailmentLearner)
