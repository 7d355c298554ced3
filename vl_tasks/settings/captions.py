"""Settings of captioning trainings.

The field docstrings are the ``--help`` texts. This module does not import torch, so that ``--help``
returns at once.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts
from clipnav.vl_tasks.settings.configs import RunConfig
from clipnav.vl_tasks.settings.network_sizes import CaptionerConfig
from clipnav.vl_tasks.text.ptb import CaptionTokenizer


@dataclass(frozen=True)
class CaptionConfig(RunConfig):
    """Settings of a captioning training.

    The phase "scst" starts from the weights of the cross-entropy run `start_from`.
    """

    COMMAND: ClassVar[str] = "clipnav train-captioner"
    preset: str = "houses"
    """Preset that sets the defaults."""
    phase: Literal["xe", "scst"] = "xe"
    """Training objective: xe (cross-entropy) or scst (self-critical sequence training)."""
    start_from: Path | None = None
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
    tokenizer: CaptionTokenizer = "auto"
    """Tokenizer of the final scores: java (the official one), python (without Java and METEOR), or
    auto (java if it is installed)."""

    def __post_init__(self) -> None:
        super().__post_init__()
        counts = ("captions_per_image", "max_words", "min_count", "beams", "max_length")
        check_counts(self, counts)
        if (self.phase == "scst") != (self.start_from is not None):
            raise UserError(
                "--phase scst and --start-from RUN (a cross-entropy run) require each other; set "
                "both"
            )

    @property
    def task(self) -> str:
        """Name of the task."""
        return f"captions-{self.phase}"
