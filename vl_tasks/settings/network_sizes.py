"""Sizes of the networks over features of frozen encoders."""

from dataclasses import dataclass

from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts, check_dropout


@dataclass(frozen=True)
class PythiaConfig:
    """Sizes of Pythia."""

    hidden_size: int = 1024
    """Width of the question LSTM."""
    attention_size: int = 512
    """Hidden width of the attention over words."""
    product_size: int = 5000
    """Width of the joint image-question embedding (elementwise product)."""
    text_head_size: int = 300
    """Hidden width of the classifier's text branch."""
    dropout: float = 0.1
    """Dropout rate of the joint image-question embedding."""

    def __post_init__(self) -> None:
        check_counts(
            self, ("hidden_size", "attention_size", "product_size", "text_head_size"), "pythia."
        )
        check_dropout(self, ("dropout",), "pythia.")


@dataclass(frozen=True)
class McanConfig:
    """Sizes of MCAN and MoVie+MCAN."""

    hidden_size: int = 512
    """Width of words and grid cells."""
    feed_forward_size: int = 2048
    """Hidden width of the feed-forward layers."""
    layers: int = 6
    """Number of self-attention layers over words, and of guided-attention layers over cells."""
    heads: int = 8
    """Number of attention heads."""
    pooling_size: int = 512
    """Hidden width of the attention pooling over words and grid cells."""
    fused_size: int = 1024
    """Width of the fused image-question vector."""
    dropout: float = 0.1
    """Dropout rate of attention, feed-forward layers and pooling."""
    positions: bool = False
    """Position embeddings of the grid cells (off in the original implementations)."""

    def __post_init__(self) -> None:
        names = (
            "hidden_size",
            "feed_forward_size",
            "layers",
            "heads",
            "pooling_size",
            "fused_size",
        )
        check_counts(self, names, "mcan.")
        check_dropout(self, ("dropout",), "mcan.")
        check_heads(self.hidden_size, self.heads, "--mcan.hidden-size", "--mcan.heads")


@dataclass(frozen=True)
class CaptionerConfig:
    """Sizes of the captioner."""

    hidden_size: int = 512
    """Width of words and grid cells."""
    feed_forward_size: int = 2048
    """Hidden width of the feed-forward layers."""
    layers: int = 6
    """Number of layers of the encoder and of the decoder."""
    heads: int = 8
    """Number of attention heads."""
    dropout: float = 0.1
    """Dropout rate of the layers."""
    input_dropout: float = 0.5
    """Dropout rate of the embedded grid features."""
    positions: bool = False
    """Position embeddings of the grid cells (off in the original implementation)."""
    faithful: bool = False
    """Layer normalisation of the published code: unbiased standard deviation, epsilon added
    outside the square root."""

    def __post_init__(self) -> None:
        check_counts(self, ("hidden_size", "feed_forward_size", "layers", "heads"), "captioner.")
        check_dropout(self, ("dropout", "input_dropout"), "captioner.")
        check_heads(self.hidden_size, self.heads, "--captioner.hidden-size", "--captioner.heads")


# Settings with the sizes of each model of question answering over features of frozen encoders.
SIZES_OF_MODEL = {"pythia": "pythia", "mcan": "mcan", "movie-mcan": "mcan"}


def check_heads(width: int, heads: int, width_flag: str, heads_flag: str) -> None:
    """Check that a width can be divided among attention heads.

    Raises:
        UserError: It cannot; names both flags.
    """
    if width % heads:
        raise UserError(
            f"{width_flag} {width} is not divisible by {heads_flag} {heads}; change one of them"
        )
