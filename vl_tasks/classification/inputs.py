"""Network over the features of a frozen encoder and texts, with its inputs."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.training.checkpoints import VOCABULARY
from clipnav.vl_tasks.grids.grids import Grids, GridScale
from clipnav.vl_tasks.grids.regions import RegionSource
from clipnav.vl_tasks.grids.sources import BlindSource, GridSource, fit_scale
from clipnav.vl_tasks.networks.attention import JointVectors
from clipnav.vl_tasks.networks.mcan import Mcan
from clipnav.vl_tasks.networks.movie_mcan import MovieMcan
from clipnav.vl_tasks.networks.pythia import Pythia
from clipnav.vl_tasks.settings.runs import FineTunableConfig
from clipnav.vl_tasks.subsets import in_batches
from clipnav.vl_tasks.text.sentences import Sentences, initialise_from_glove
from clipnav.vl_tasks.text.vocabulary import Vocabulary

Source = GridSource | RegionSource | BlindSource


class InputRecord(Protocol):
    """A text about an image."""

    @property
    def text(self) -> str:
        """The text."""
        ...

    @property
    def image_id(self) -> Any:
        """Id of the image."""
        ...


class FeatureNetwork(nn.Module):
    """Standardisation of features, then Pythia, MCAN or MoVie+MCAN.

    Attributes:
        architecture: Properties that must match to load saved weights.
    """

    def __init__(self, config: Any, channels: int, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.scale = GridScale(channels)
        faithful = getattr(config, "faithful", False)
        sizes = channels, vocabulary, config.embedding_size, classes
        networks = {"pythia": Pythia, "mcan": Mcan, "fused": Mcan, "movie-mcan": MovieMcan}
        network_sizes = config.pythia if config.model == "pythia" else config.mcan
        self.reasoner = networks[config.model](*sizes, network_sizes, faithful)
        self.architecture = {
            "model": config.model,
            "feature width": str(channels),
            "vocabulary size": str(vocabulary),
        }
        if config.ANSWERS:
            is_unbiased = faithful and config.model == "mcan"
            self.architecture["answers"] = str(classes)
            # Runs saved without this key use torch's layer normalisation.
            self.architecture["unbiased layer norms"] = "yes" if is_unbiased else "no"

    def forward(self, grids: Grids, tokens: Tensor) -> Tensor:
        """Compute the logits (B, classes) of texts, token ids (B, T), about grids.

        MoVie+MCAN returns (B, 3, classes) in training, see `MovieMcan`.
        """
        return self.reasoner(self.scale(grids), tokens)

    def join(self, grids: Grids, tokens: Tensor) -> tuple[JointVectors, Tensor]:
        """Compute the vectors of texts about grids, and their logits (B, classes)."""
        vectors = self.reasoner.join(self.scale(grids), tokens)
        return vectors, self.reasoner.classify(vectors.fused)


class FeatureInputs:
    """A network over features of images and token ids of texts."""

    network: Any

    def __init__(
        self, config: FineTunableConfig, source: Source, words: Vocabulary, classes: int
    ) -> None:
        self.config: Any = config
        self.source, self.words = source, words
        self.network = FeatureNetwork(config, source.channels, len(words), classes)
        self.network.to(config.device)
        self.metadata = dict(source.metadata)

    def initialise(self, images: Sequence[Any]) -> None:
        """Fit the feature scale to images, and load GloVe embeddings, in a new network."""
        if self.config.standardise:
            fit_scale(self.network.scale, self.source, images)
        if self.config.glove is not None:
            initialise_from_glove(self.network.reasoner.word_vectors, self.config.glove, self.words)

    def encode(self, records: Sequence[InputRecord]) -> Any:
        """Convert texts to token ids."""
        return Sentences([one.text for one in records], self.words, self.config.max_words)

    def batch(
        self, records: Sequence[InputRecord], encoded: Any, rows: np.ndarray
    ) -> tuple[Any, Tensor]:
        """Return grids and token ids (B, T) of the records `rows`, on the device."""
        device, whole = self.config.device, getattr(self.config, "faithful", False)
        grids = self.source.batch([records[row].image_id for row in rows])
        return grids.to(device), encoded.batch(rows, whole=whole).to(device)

    def compute(self, records: Sequence[InputRecord], encoded: Any, rows: np.ndarray) -> Tensor:
        """Compute the logits of the records `rows`; see `FeatureNetwork`."""
        return self.network(*self.batch(records, encoded, rows))

    def logits(
        self, records: Sequence[InputRecord], encoded: Any = None
    ) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Yield numbers (B,) and logits (B, classes) of all records."""
        self.network.eval()
        encoded = self.encode(records) if encoded is None else encoded
        for rows in in_batches(len(records), self.config.evaluation_batch_size):
            with torch.inference_mode():
                logits = self.compute(records, encoded, rows)
            yield rows, logits

    def start(self, run: Path) -> None:
        """Write the vocabulary of a new run."""
        self.words.save(run / VOCABULARY)
