"""Settings of the networks (follower, speaker, instruction encoder) and of the losses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from clipnav.storage.errors import UserError
from clipnav.training.settings import (
    check_counts,
    check_dropout,
    check_numbers,
    check_positive,
    check_unused_options,
)

Feedback = Literal["teacher", "sample", "mixed"]
ExpertKind = Literal["spl", "ndtw"]
FeatureDropout = Literal["environment", "batch", "episode", "step", "element"]


@dataclass(frozen=True)
class ReinforcementConfig:
    """Advantage actor-critic (A2C).

    Its episodes are the second minibatch of each iteration; a frontier agent uses the episodes of
    imitation.
    """

    weight: float = 0.0
    """Weight of the A2C loss; 0 turns it off."""
    discount: float = 0.9
    """Discount factor of the rewards."""
    value: float = 0.5
    """Coefficient of the critic's squared error."""
    entropy: float = 0.01
    """Coefficient of the entropy bonus."""

    def __post_init__(self) -> None:
        check_numbers(self, ("weight", "value", "entropy"), "reinforcement.")
        check_numbers(self, ("discount",), "reinforcement.", most=1)
        if not self.weight:
            names = ("discount", "value", "entropy")
            reason = "with --reinforcement.weight 0"
            check_unused_options(self, dict.fromkeys(names, reason), part="reinforcement.")


@dataclass(frozen=True)
class BackTranslationConfig:
    """Back-translation: sampled paths with instructions that a speaker generates."""

    speaker: Path | None = None
    """Run of the speaker (clipnav train-speaker); turns back-translation on."""
    imitation_weight: float = 0.6
    """Weight of the imitation loss on the sampled paths."""
    paths: int = 20_000
    """Number of paths to sample in the training scans."""
    dropout: Literal["environment", "batch"] = "environment"
    """Scope of a feature dropout mask: one building, as in the EnvDrop paper, or the whole batch,
    as in its code. The rate is --follower.feature-dropout."""

    def __post_init__(self) -> None:
        check_counts(self, ("paths",), "back-translation.")
        check_numbers(self, ("imitation_weight",), "back-translation.")


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
    """Standardise visual features to mean 0 and standard deviation 1 over the training scans, or
    less if they are wider than house_clip's, so that vectors are as long (EnvDrop: no)."""
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
    standardised over the training instructions as visual features are; otherwise the decoder
    attends to them directly (CLEAR)."""
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
    """Standardise visual features to mean 0 and standard deviation 1 over the training scans, or
    less if they are wider than house_clip's, so that vectors are as long (EnvDrop: no)."""
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
