"""Settings of captioning trainings.

The field docstrings are the ``--help`` texts. This module does not import torch, so that ``--help``
returns at once.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from training.settings import check_counts
from vl_tasks.settings.configs import RunConfig


@dataclass(frozen=True)
class CaptionerConfig:
    """Sizes of the captioner."""

    width: int = 512
    """Width of words and grid cells."""
    feed_forward: int = 2048
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


@dataclass(frozen=True)
class CaptionConfig(RunConfig):
    """Settings of a captioning training.

    The phase "scst" starts from the weights of the cross-entropy run `start`.
    """

    COMMAND: ClassVar[str] = "clipnav train-captioner"
    """Script that trains such runs."""
    preset: str = "houses"
    """Preset that sets the defaults."""
    phase: Literal["xe", "scst"] = "xe"
    """Training objective: xe (cross-entropy) or scst (self-critical sequence training)."""
    start: Path | None = None
    """Folder of the cross-entropy run whose weights initialise self-critical training."""
    captioner: CaptionerConfig = field(default_factory=CaptionerConfig)
    """Sizes of the captioner."""
    captions_per_image: int = 5
    """Number of reference captions (cross-entropy) or sampled captions (self-critical) per image in
    a batch."""
    baseline: Literal["greedy", "samples"] = "greedy"
    """Baseline of the self-critical reward: greedy caption, or mean of the other samples."""
    max_words: int = 16
    """Maximum number of words of a training caption; longer captions are truncated."""
    min_count: int = 6
    """Minimum number of occurrences of a word in the vocabulary."""
    beams: int = 5
    """Beam width of the final evaluation; evaluations during training decode greedily."""
    max_length: int = 20
    """Maximum number of words of a generated caption."""
    tokenizer: Literal["auto", "java", "python"] = "auto"
    """Tokenizer of the final scores: java (the official one), python (without Java and METEOR), or
    auto (java if it is installed)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("captions_per_image", "max_words", "beams", "max_length"))
        if (self.phase == "scst") != (self.start is not None):
            raise ValueError(
                "--phase scst and --start RUN (a cross-entropy run) require each other; set both"
            )

    @property
    def task(self) -> str:
        """Name of the task."""
        return f"captions-{self.phase}"
