"""Settings of the networks: follower, speaker and instruction encoder."""

from dataclasses import dataclass
from typing import Literal

from clipnav.storage.errors import UserError
from clipnav.training.settings import (
    check_counts,
    check_dropout,
    check_numbers,
    check_positive,
)

FeatureDropout = Literal["environment", "batch", "episode", "step", "element"]


@dataclass(frozen=True)
class FollowerConfig:
    """Layer sizes and dropout of the follower."""

    embedding_size: int = 256
    """Width of the word embeddings."""
    hidden_size: int = 512
    """Width of the decoder state and of the encoded words (half of it per reading direction)."""
    action_size: int = 64
    """Width of the embedding of the agent's heading and elevation."""
    dropout: float = 0.5
    """Dropout rate of embeddings, encoded words and decoder states."""
    standardise: bool = True
    """Standardise visual features to mean 0 and standard deviation 1 over the training scans
    (EnvDrop: no)."""
    feature_dropout: float = 0.3
    """Dropout rate of visual features; angle features are never dropped."""
    feature_dropout_kind: FeatureDropout = "episode"
    """Scope of a feature dropout mask: all episodes of a batch in one building (environment), the
    whole batch, an episode, a step, or a single number (element; as in EnvDrop, and slow)."""
    candidate_mlp: bool = False
    """Embed each candidate with a two-layer perceptron before scoring it (EnvDrop: no). A bilinear
    score alone cannot select an object and a direction at the same time."""
    location_aware_attention: bool = False
    """Feed the previous attention weights over the words back into the attention (location-aware
    attention, Chorowski et al. 2015; EnvDrop: no)."""
    read_states: bool = False
    """Read the hidden states of a transformer (--text.model, --language-representation) by an LSTM,
    standardised to mean 0 and standard deviation 1 over the training instructions; otherwise the
    decoder attends to them directly (CLEAR)."""
    distance_feature: bool = False
    """Add the distance of each candidate, the simulator's `rel_distance`, to its features (EnvDrop:
    no). Two candidates in the same direction share a view."""
    visit_features: bool = False
    """Add the number of earlier visits of each candidate to its score, similar to the Regretful
    Agent (Ma et al. 2019; EnvDrop: no)."""

    def __post_init__(self) -> None:
        check_counts(self, ("embedding_size", "hidden_size", "action_size"), "follower.")
        _check_even(self.hidden_size, "follower")
        check_dropout(self, ("dropout", "feature_dropout"), "follower.")


@dataclass(frozen=True)
class SpeakerConfig:
    """Layer sizes and dropout of the speaker."""

    embedding_size: int = 256
    """Width of the word embeddings."""
    hidden_size: int = 512
    """Width of the encoded steps and of the decoder state."""
    dropout: float = 0.6
    """Dropout rate of embeddings, encoded steps and decoder states."""
    standardise: bool = True
    """Standardise visual features to mean 0 and standard deviation 1 over the training scans
    (EnvDrop: no)."""
    feature_dropout: float = 0.3
    """Dropout rate of visual features; angle features are never dropped."""
    feature_dropout_kind: FeatureDropout = "episode"
    """Scope of a feature dropout mask: all episodes of a batch in one building (environment), the
    whole batch, an episode, a step, or a single number (element; as in EnvDrop, and slow)."""

    def __post_init__(self) -> None:
        check_counts(self, ("embedding_size", "hidden_size"), "speaker.")
        _check_even(self.hidden_size, "speaker")
        check_dropout(self, ("dropout", "feature_dropout"), "speaker.")


@dataclass(frozen=True)
class TextConfig:
    """Tokenizer and encoder of the instructions."""

    tokens: Literal["words", "subwords", "pretrained"] = "words"
    """Tokens of the instructions: words of the training split, byte-pair subwords learned from it
    (for several languages), or the tokens of a Hugging Face model, whose hidden states then replace
    the word embeddings."""
    vocabulary_size: int = 8_000
    """Size of the subword vocabulary."""
    model: str | None = None
    """Name or local folder of the Hugging Face model, for --text.tokens pretrained."""
    tune: bool = False
    """Fine-tune the Hugging Face model; otherwise its hidden states are computed once and
    stored."""
    learning_rate: float = 4e-5
    """Peak learning rate of the fine-tuned model."""

    def __post_init__(self) -> None:
        check_counts(self, ("vocabulary_size",), "text.")
        check_numbers(self, ("learning_rate",), "text.")
        if (self.tokens == "pretrained") != (self.model is not None):
            raise UserError(
                f"--text.tokens {self.tokens} and --text.model {self.model}: only --text.tokens "
                "pretrained has a model, and requires one; give both, or --text.model None"
            )


@dataclass(frozen=True)
class RepresentationConfig:
    """Use of CLEAR's representations in an agent."""

    tune_language: bool = False
    """Fine-tune the language representation; otherwise its hidden states are computed once and
    stored."""
    language_learning_rate: float = 4e-5
    """Peak learning rate of the fine-tuned language representation."""
    tune_visual: bool = False
    """Fine-tune the visual representation, with its dropout; otherwise it does not change."""

    def __post_init__(self) -> None:
        check_numbers(self, ("language_learning_rate",), "clear.")


@dataclass(frozen=True)
class ClearConfig(RepresentationConfig):
    """Use of CLEAR's representations, and of its contrastive loss, in a follower."""

    encode_stop: bool = False
    """Apply the visual representation to the zero features of the action stop (CLEAR: yes)."""
    contrastive_weight: float = 0.0
    """Weight of the contrastive loss of imitation: what the follower attends to in an instruction,
    and in another instruction of the same path (CLEAR: 0.2)."""
    temperature: float = 0.5
    """Divisor of the cosine similarities in this loss."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_numbers(self, ("contrastive_weight", "temperature"), "clear.")
        check_positive(self, ("temperature",), "clear.")


def _check_even(hidden_size: int, part: str) -> None:
    """Check that the width can be divided between the two reading directions of an LSTM."""
    if hidden_size % 2:
        raise UserError(
            f"--{part}.hidden-size {hidden_size}: must be even, half of it per reading direction"
        )
