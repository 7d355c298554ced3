"""Inputs of entailment networks: features of frozen encoders, or the images themselves."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from clipnav.storage.progress import progress_bar
from clipnav.training.checkpoints import VOCABULARY
from clipnav.vl_tasks.clip_vil_p.fine_tuning import FineTuning, ImageSentences
from clipnav.vl_tasks.data.pairs import LABELS, Hypothesis
from clipnav.vl_tasks.entailment.networks import Fused, Towers
from clipnav.vl_tasks.grids.encoders import load_encoder
from clipnav.vl_tasks.grids.grids import Grids
from clipnav.vl_tasks.grids.sources import GridSource, fit_scale, open_source
from clipnav.vl_tasks.settings.configs import EntailmentConfig
from clipnav.vl_tasks.subsets import in_batches
from clipnav.vl_tasks.text.sentences import Sentences, initialise_from_glove
from clipnav.vl_tasks.text.vocabulary import Vocabulary

_STEP = 64

Encoded = TypeVar("Encoded")


class _EncodedInputs(ABC, Generic[Encoded]):
    """Inputs of a network over frozen encoders, whose hypotheses are encoded once.

    Args:
        config: Settings of the run.
        vocabulary: Vocabulary of the hypotheses, which is saved with the run.
    """

    network: Any  # Fused or Towers

    def __init__(self, config: EntailmentConfig, vocabulary: Vocabulary) -> None:
        self._config, self.words = config, vocabulary

    @abstractmethod
    def batch(
        self, hypotheses: Sequence[Hypothesis], sentences: Encoded, rows: np.ndarray
    ) -> tuple[Any, Any]:
        """Return the inputs of the network for the hypotheses `rows`."""

    def compute(
        self, hypotheses: Sequence[Hypothesis], encoded: Encoded, rows: np.ndarray
    ) -> Tensor:
        """Compute the logits of the hypotheses `rows`."""
        return self.network(*self.batch(hypotheses, encoded, rows))

    def logits(
        self, hypotheses: Sequence[Hypothesis], encoded: Encoded
    ) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Yield numbers (B,) and logits (B, labels) of all hypotheses."""
        self.network.eval()
        for rows in in_batches(len(hypotheses), self._config.evaluation_batch_size):
            with torch.inference_mode():
                logits = self.compute(hypotheses, encoded, rows)
            yield rows, logits

    def start(self, run: Path) -> None:
        """Write the vocabulary of a new run."""
        self.words.save(run / VOCABULARY)


class FusedInputs(_EncodedInputs[Sentences]):
    """Grid features and token ids of hypotheses.

    Args:
        config: Settings of the run.
        images: Image files by name.
        vocabulary: Vocabulary of the hypotheses.
    """

    def __init__(
        self, config: EntailmentConfig, images: Mapping[str, Path], vocabulary: Vocabulary
    ) -> None:
        super().__init__(config, vocabulary)
        self.source = open_source(config, images)
        self.metadata = dict(self.source.metadata)
        network = Fused(config, self.source.channels, len(vocabulary))
        self.network = network.to(config.device)

    def initialise(self, images: Sequence[str]) -> None:
        """Fit the feature scale to images, and load GloVe embeddings, in a new network."""
        if self._config.standardise:
            fit_scale(self.network.scale, self.source, images)
        if self._config.glove is not None:
            embedding = self.network.reasoner.word_vectors
            initialise_from_glove(embedding, self._config.glove, self.words)

    def encode(self, hypotheses: Sequence[Hypothesis]) -> Sentences:
        """Convert hypotheses to token ids."""
        return Sentences([h.text for h in hypotheses], self.words, self._config.max_words)

    def batch(
        self, hypotheses: Sequence[Hypothesis], sentences: Sentences, rows: np.ndarray
    ) -> tuple[Grids, Tensor]:
        """Return the inputs of `Fused` for the hypotheses `rows`."""
        grids = self.source.batch([hypotheses[row].image for row in rows])
        return grids.to(self._config.device), sentences.batch(rows).to(self._config.device)


class TowerInputs(_EncodedInputs[Tensor]):
    """CLIP embeddings of images and hypotheses, computed once and kept in memory.

    Args:
        config: Settings of the run.
        images: Image files by name.
        vocabulary: Vocabulary of the training hypotheses, which is saved with the run.
    """

    def __init__(
        self, config: EntailmentConfig, images: Mapping[str, Path], vocabulary: Vocabulary
    ) -> None:
        super().__init__(config, vocabulary)
        source = open_source(config, images, "pooled")
        self._pictures: dict[str, Tensor] = {}
        if isinstance(source, GridSource):
            self.encoder = source.encoder
            self._pictures = _unit_vectors(source)
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

    def encode(self, hypotheses: Sequence[Hypothesis]) -> Tensor:
        """Compute the embeddings (N, D) of hypotheses."""
        return torch.from_numpy(self.encoder.text([h.text for h in hypotheses]))

    def batch(
        self, hypotheses: Sequence[Hypothesis], sentences: Tensor, rows: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """Return the inputs of `Towers` for the hypotheses `rows`."""
        texts = sentences[torch.from_numpy(rows)]
        if self._config.vision:
            pictures = torch.stack([self._pictures[hypotheses[row].image] for row in rows])
        else:
            pictures = torch.zeros_like(texts)
        return pictures.to(self._config.device), texts.to(self._config.device)


class FineTuningInputs(FineTuning):
    """A pre-trained CLIP-ViL_p over images and hypotheses.

    Args:
        config: Settings of the run.
        images: Image files by name.
        run: Folder of an existing run of the task; None for a new one.
    """

    def __init__(
        self, config: EntailmentConfig, images: Mapping[str, Path], run: Path | None
    ) -> None:
        super().__init__(config, LABELS, run)
        self._images = images

    def encode(self, hypotheses: Sequence[Hypothesis]) -> ImageSentences:
        """Prepare hypotheses about images."""
        paths = [self._images[one.image] for one in hypotheses]
        return self.sentences(paths, [one.text for one in hypotheses])

    def logits(
        self, hypotheses: Sequence[Hypothesis], encoded: ImageSentences
    ) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Yield numbers (B,) and logits (B, labels) of all hypotheses, each exactly once."""
        return self.logits_of(encoded)


Inputs = FusedInputs | TowerInputs | FineTuningInputs


def _unit_vectors(source: GridSource) -> dict[str, Tensor]:
    """Compute the unit-length embeddings (D,) of all images by name."""
    names = list(source.images)
    vectors: dict[str, Tensor] = {}
    with progress_bar(total=len(names), desc="reading", unit="images", disable=not names) as bar:
        for rows in in_batches(len(names), _STEP):
            part = [names[row] for row in rows]
            pooled = source.batch(part).features[:, 0]  # (B, D)
            vectors |= zip(part, F.normalize(pooled, dim=1), strict=True)
            bar.update(len(part))
    return vectors
