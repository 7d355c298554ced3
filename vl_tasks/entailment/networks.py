"""The entailment networks, each called with what it needs of rows of the data."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

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
    """MCAN over the words of a hypothesis and the places of its picture."""

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
        """Scores (B, labels) of hypotheses (B, T) about grids."""
        return self.reasoner(self.scale(grids), tokens)


class Towers(nn.Module):
    """The two-tower baseline."""

    def __init__(self, config: EntailmentConfig, width: int) -> None:
        super().__init__()
        self.reasoner = TwoTower(width, config.hidden, len(LABELS), config.dropout)
        self.architecture = {"model": config.model, "feature width": str(width)}

    def forward(self, pictures: Tensor, sentences: Tensor) -> Tensor:
        """Scores (B, labels)."""
        return self.reasoner(pictures, sentences)


class FusedInputs:
    """Grids and tokens of hypotheses.

    Args:
        config: Settings of the run.
        images: File of each picture by its name.
        vocabulary: Of the words.
    """

    def __init__(
        self, config: EntailmentConfig, images: Mapping[str, Path], vocabulary: Vocabulary
    ) -> None:
        self._config, self._vocabulary = config, vocabulary
        self.source = open_source(config, images)
        self.metadata = dict(self.source.metadata)

    def numbered(self, hypotheses: Sequence[Hypothesis]) -> Sentences:
        """Tokens of hypotheses."""
        return Sentences([h.text for h in hypotheses], self._vocabulary, self._config.words)

    def batch(
        self, hypotheses: Sequence[Hypothesis], sentences: Sentences, rows: np.ndarray
    ) -> tuple[Grids, Tensor]:
        """What `Fused` takes of some of the hypotheses."""
        grids = self.source.batch([hypotheses[row].image for row in rows])
        return grids.to(self._config.device), sentences.batch(rows).to(self._config.device)


class TowerInputs:
    """CLIP's embeddings of pictures and hypotheses, worked out once, kept in memory.

    Args:
        config: Settings of the run.
        images: File of each picture by its name.
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
        # Runs that were made before size and fit were noted are of the encoder's own.
        seen = {
            name: value
            for name, value in source.metadata.items()
            if value not in ("own", "center_crop")
        }
        self.metadata = {
            **seen,
            "encoder": self.encoder.weights_sha256,
            "vision": str(config.vision),
        }

    def numbered(self, hypotheses: Sequence[Hypothesis]) -> Tensor:
        """Embeddings (N, D) of hypotheses."""
        return torch.from_numpy(self.encoder.text([h.text for h in hypotheses]))

    def batch(
        self, hypotheses: Sequence[Hypothesis], sentences: Tensor, rows: np.ndarray
    ) -> tuple[Tensor, Tensor]:
        """What `Towers` takes of some of the hypotheses."""
        texts = sentences[torch.from_numpy(rows)]
        if self._config.vision:
            pictures = torch.stack([self._pictures[hypotheses[row].image] for row in rows])
        else:
            pictures = torch.zeros_like(texts)
        return pictures.to(self._config.device), texts.to(self._config.device)


def _unit_vectors(source: GridSource) -> dict[str, Tensor]:
    """Embeddings (D,) of all pictures by their names."""
    names = list(source.images)
    found: dict[str, Tensor] = {}
    with tqdm(total=len(names), desc="reading", unit=" images", disable=not names) as bar:
        for rows in in_batches(len(names), _STEP):
            part = [names[row] for row in rows]
            pooled = source.batch(part).features[:, 0]  # (B, D)
            found |= zip(part, F.normalize(pooled, dim=1), strict=True)
            bar.update(len(part))
    return found
