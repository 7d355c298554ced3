"""Settings of transformer networks: those that the map agent and HAMT share."""

from dataclasses import dataclass
from typing import Literal

from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_dropout

_PART = "network."  # prefix of the flags


@dataclass(frozen=True)
class TransformerConfig:
    """Layer sizes and dropout of a transformer; the default values are DUET's and HAMT's."""

    hidden_size: int = 768
    """Width of all tokens."""
    heads: int = 12
    """Number of attention heads."""
    feed_forward_size: int = 3072
    """Width of the hidden layer of the feed-forward networks."""
    text_encoder: Literal["transformer", "lstm"] = "transformer"
    """Text encoder without --network.text-model: a BERT, or the follower's bidirectional LSTM of
    twice the width of the tokens, which learns from fewer updates and whose weights
    --start-from takes from a follower's run."""
    text_layers: int = 9
    """Number of layers of the text encoder, without --network.text-model."""
    panorama_layers: int = 2
    """Number of layers of the panorama encoder."""
    cross_layers: int = 4
    """Number of cross-modal layers (of each branch)."""
    max_text_length: int = 512
    """Largest number of text tokens, without --network.text-model."""
    max_steps: int = 100
    """Size of the table of step embeddings, which bounds the number of decisions."""
    text_model: str | None = None
    """Name or local folder of a Hugging Face model that replaces the text encoder."""
    text_model_layers: int | None = None
    """Number of first layers of the text model to keep; None for all of them (HAMT, BEVBert: 9)."""
    dropout: float = 0.1
    """Dropout rate of embeddings, attention weights and layer outputs."""
    feature_dropout: float = 0.4
    """Dropout rate of visual features."""
    feature_dropout_kind: Literal["element", "episode"] = "element"
    """Scope of a feature dropout mask: a single number (DUET, HAMT), or all views of an episode."""
    standardise: bool = False
    """Standardise visual features to mean 0 and standard deviation 1 over the training scans
    (DUET, HAMT: no)."""

    def __post_init__(self) -> None:
        sizes = ("hidden_size", "heads", "feed_forward_size", "text_layers", "panorama_layers")
        check_counts(self, (*sizes, "cross_layers", "max_text_length", "max_steps"), _PART)
        if self.hidden_size % self.heads:
            raise UserError(
                f"--network.hidden-size {self.hidden_size}: must be divisible by --network.heads "
                f"{self.heads}"
            )
        if self.text_model_layers is not None:
            check_counts(self, ("text_model_layers",), _PART)
        check_dropout(self, ("dropout", "feature_dropout"), _PART)
