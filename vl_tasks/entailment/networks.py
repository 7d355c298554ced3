"""Entailment networks, and the inputs that each of them requires."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from storage.progress import progress_bar
from vl_tasks.data.pairs import LABELS, Hypothesis
from vl_tasks.entailment.two_tower import TwoTower
from vl_tasks.grids.encoders import load_encoder
from vl_tasks.grids.grids import Grids, GridScale
from vl_tasks.grids.sources import GridSource, open_source
from vl_tasks.networks.mcan import Mcan
from vl_tasks.settings.configs import EntailmentConfig
from vl_tasks.text.sentences import Sentences
from vl_tasks.text.vocabulary import Vocabulary
from vl_tasks.training import in_batches

_STEP = 64


class Fused(nn.Module):
    """MCAN over the words of a hypothesis and the grid cells of its image."""

    def __init__(self, config: EntailmentConfig, channels: int, vocabulary: int) -> None:
        super().__init__()
        self.scale = GridScale(channels)
        self.reasoner = Mcan(channels, vocabulary, config.embedding, len(LABELS), config.mcan)
        self.architecture = {
            "model": config.model,
            "feature width": str(channels),
            "vocabulary size": str(vocabulary),
        }

    def forward(self, grids: Grids, tokens: Tensor) -> Tensor:
        """Compute the logits (B, labels) of hypotheses, token ids (B, T), about grids."""
        return self.reasoner(self.scale(grids), tokens)


class Towers(nn.Module):
    """Two-tower baseline."""

    def __init__(self, config: EntailmentConfig, width: int) -> None:
        super().__init__()
        self.reasoner = TwoTower(width, config.hidden, len(LABELS), config.dropout)
        self.architecture = {"model": config.model, "feature width": str(width)}

    def forward(self, pictures: Tensor, sentences: Tensor) -> Tensor:
        """Compute the logits (B, labels) of image and sentence embeddings (B, D)."""
        return self.reasoner(pictures, sentences)


class FusedInputs:
    """Grid features and token ids of hypotheses.

    Args:
        config: Settings of the run.
        images: Image files by name.
        vocabulary: Vocabulary of the hypotheses.
    """

    def __init__(
        self, config: EntailmentConfig, images: Mapping[str, Path], vocabulary: Vocabulary
    ) -> None:
        self._config, self._vocabulary = config, vocabulary
        self.source = open_source(config, images)
        self.metadata = dict(self.source.metadata)

    def encode(self, hypotheses: Sequence[Hypothesis]) -> Sentences:
        """Convert hypotheses to token ids."""
        return Sentences([h.text for h in hypotheses], self._vocabulary, self._config.words)

    def batch(
        self, hypotheses: Sequence[Hypothesis], sentences: Sentences, rows: np.ndarray
    ) -> tuple[Grids, Tensor]:
        """Return the inputs of `Fused` for the hypotheses `rows`."""
        grids = self.source.batch([hypotheses[row].image for row in rows])
        return grids.to(self._config.device), sentences.batch(rows).to(self._config.device)


class TowerInputs:
    """CLIP embeddings of images and hypotheses, computed once and kept in memory.

    Args:
        config: Settings of the run.
        images: Image files by name.
    """

    def __init__(self, config: EntailmentConfig, images: Mapping[str, Path]) -> None:
        self._config = config
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
