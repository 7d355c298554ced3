"""Visual entailment: entailment, neutral or contradiction of image and sentence."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipnav.storage.errors import UserError
from clipnav.storage.progress import progress_bar
from clipnav.training.learners import Summary
from clipnav.vl_tasks.classification.answers import AnswerVocabulary
from clipnav.vl_tasks.classification.inputs import FeatureInputs
from clipnav.vl_tasks.classification.task import ClassificationTask
from clipnav.vl_tasks.data.pairs import (
    LABELS,
    UNLABELLED,
    Hypothesis,
    accuracy_by_class,
    hypothesis_images,
    read_hypotheses,
)
from clipnav.vl_tasks.data_folders import image_folder, split_file
from clipnav.vl_tasks.entailment.settings import EntailmentConfig
from clipnav.vl_tasks.grids.encoders import load_encoder
from clipnav.vl_tasks.grids.sources import GridSource, open_source
from clipnav.vl_tasks.subsets import in_batches
from clipnav.vl_tasks.text.sentences import run_vocabulary
from clipnav.vl_tasks.text.vocabulary import Vocabulary
from clipnav.vl_tasks.training import FinalScores

_STEP = 64


class TwoTower(nn.Module):
    """Classifier of an image embedding and a sentence embedding."""

    def __init__(self, width: int, hidden: int, classes: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(4 * width, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(hidden, classes),
        )

    def forward(self, pictures: Tensor, sentences: Tensor) -> Tensor:
        """Compute the logits (B, classes) of unit-length image and sentence embeddings (B, D)."""
        parts = [pictures, sentences, (pictures - sentences).abs(), pictures * sentences]
        return self.layers(torch.cat(parts, dim=1))


class Towers(nn.Module):
    """Two-tower baseline."""

    def __init__(self, config: EntailmentConfig, width: int) -> None:
        super().__init__()
        self.reasoner = TwoTower(width, config.hidden_size, len(LABELS), config.dropout)
        self.architecture = {"model": config.model, "feature width": str(width)}

    def forward(self, pictures: Tensor, sentences: Tensor) -> Tensor:
        """Compute the logits (B, labels) of image and sentence embeddings (B, D)."""
        return self.reasoner(pictures, sentences)


class TowerInputs(FeatureInputs):
    """CLIP embeddings of images and hypotheses, computed once and kept in memory."""

    def __init__(
        self, config: EntailmentConfig, images: Mapping[str, Path], vocabulary: Vocabulary
    ) -> None:
        self.config, self.words = config, vocabulary
        source = open_source(config, images, "pooled")
        self._pictures: dict[str, Tensor] = {}
        if isinstance(source, GridSource):
            self.encoder = source.encoder
            names = list(source.images)
            total = len(names)
            with progress_bar(total=total, desc="reading", unit="images", disable=not names) as bar:
                for rows in in_batches(total, _STEP):
                    part = [names[row] for row in rows]
                    pooled = source.batch(part).features[:, 0]  # (B, D)
                    self._pictures |= zip(part, F.normalize(pooled, dim=1), strict=True)
                    bar.update(len(part))
        else:
            self.encoder = load_encoder(config.grids, config.device)
        self.width = self.encoder.embed_dim
        # Runs without size and fit use the defaults of the encoder.
        metadata = {
            name: value
            for name, value in source.metadata.items()
            if value not in ("default", "center_crop")
        }
        self.metadata = {
            **metadata,
            "encoder": self.encoder.weights_sha256,
            "vision": str(config.vision),
        }
        self.network = Towers(config, self.width).to(config.device)

    def encode(self, records: Sequence[Hypothesis]) -> Tensor:
        """Compute the embeddings (N, D) of hypotheses."""
        return torch.from_numpy(self.encoder.text([one.text for one in records]))

    def batch(
        self, records: Sequence[Hypothesis], encoded: Tensor, rows: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """Return the inputs of `Towers` for the hypotheses `rows`."""
        texts = encoded[torch.from_numpy(rows)]
        if self.config.vision:
            pictures = torch.stack([self._pictures[records[row].image_id] for row in rows])
        else:
            pictures = torch.zeros_like(texts)
        return pictures.to(self.config.device), texts.to(self.config.device)


class EntailmentTask(ClassificationTask):
    """SNLI-VE, or the user's own sentences."""

    def read(self, split: str, secret: bool = False) -> list[Any]:
        """Read the hypotheses of a split."""
        path = split_file(self.folder, split, ".jsonl", ".json", ".db")
        hypotheses = read_hypotheses(path, secret)
        if not secret and all(one.label == UNLABELLED for one in hypotheses):
            raise UserError(
                f"{path}: no hypothesis has a label; train and evaluate on splits with labels, and "
                "name a split without labels with --submit only"
            )
        return hypotheses

    def read_examples(self) -> list[Any]:
        """Read the training hypotheses; without agreement of the annotators there is no label."""
        return [one for one in self.read("train") if one.label != UNLABELLED]

    def choose_answers(self, examples: Sequence[Any]) -> AnswerVocabulary:
        """Return the labels."""
        return AnswerVocabulary(LABELS)

    def learnable(self, examples: list[Any]) -> list[Any]:
        """Return all training hypotheses, and remember their labels."""
        self._classes = np.array([one.label for one in examples])
        return examples

    def score(self, split: str) -> Summary:
        """Return the accuracy 0..1 on a split, overall and by label."""
        records = self.splits[split]
        return accuracy_by_class([one.label for one in records], self.predict(records))

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

    def predictions(self, split: str) -> list[dict[str, Any]]:
        """Return the labels of the hypotheses of a split as records of a submission."""
        records = self.splits[split]
        return [
            {"pairID": one.pair_id, "prediction": LABELS[label]}
            for one, label in zip(records, self.predict(records), strict=True)
        ]

    def make_inputs(self) -> Any:
        """Build the network and its inputs."""
        if self.config.model != "two-tower":
            return super().make_inputs()
        words = run_vocabulary(self.config.resume, [one.text for one in self.examples])
        return TowerInputs(self.config, self.images() if self.config.vision else {}, words)

    def images(self) -> Mapping[Any, Path]:
        """Find the images of all hypotheses by name."""
        return hypothesis_images(self.wanted(), image_folder(self.config, self.folder))
