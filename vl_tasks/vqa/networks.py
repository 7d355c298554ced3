"""VQA network: standardisation of features, then Pythia, MCAN or MoVie+MCAN."""

from torch import Tensor, nn

from clipnav.vl_tasks.grids.grids import Grids, GridScale
from clipnav.vl_tasks.networks.joint import JointVectors
from clipnav.vl_tasks.networks.mcan import Mcan
from clipnav.vl_tasks.settings.configs import QuestionConfig
from clipnav.vl_tasks.vqa.movie_mcan import MovieMcan
from clipnav.vl_tasks.vqa.pythia import Pythia


class VqaNetwork(nn.Module):
    """Standardisation of features followed by a VQA architecture.

    Attributes:
        architecture: Properties that must match to load saved weights.
    """

    def __init__(
        self, config: QuestionConfig, channels: int, vocabulary: int, classes: int
    ) -> None:
        super().__init__()
        self.scale = GridScale(channels)
        self.reasoner = _reasoner(config, channels, vocabulary, classes)
        self.architecture = {
            "model": config.model,
            "feature width": str(channels),
            "vocabulary size": str(vocabulary),
            "answers": str(classes),
            # Runs saved without this key use torch's layer normalisation.
            "unbiased layer norms": "yes" if config.faithful and config.model == "mcan" else "no",
        }

    def forward(self, grids: Grids, tokens: Tensor) -> Tensor:
        """Compute the logits (B, classes) of questions, token ids (B, T), about grids.

        MoVie+MCAN returns (B, 3, classes) in training, see `MovieMcan`.
        """
        return self.reasoner(self.scale(grids), tokens)

    def join(self, grids: Grids, tokens: Tensor) -> tuple[JointVectors, Tensor]:
        """Compute the vectors of questions about grids, and their logits (B, classes)."""
        vectors = self.reasoner.join(self.scale(grids), tokens)
        return vectors, self.reasoner.classify(vectors.fused)


def _reasoner(
    config: QuestionConfig, channels: int, vocabulary: int, classes: int
) -> Pythia | Mcan | MovieMcan:
    sizes = channels, vocabulary, config.embedding_size, classes
    if config.model == "pythia":
        return Pythia(*sizes, config.pythia, config.faithful)
    if config.model == "mcan":
        return Mcan(*sizes, config.mcan, config.faithful)
    if config.model == "movie-mcan":
        return MovieMcan(*sizes, config.mcan, config.faithful)
    raise NotImplementedError(f"no network for --model {config.model}")
