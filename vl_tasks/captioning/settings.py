"""Settings of captioning."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.storage.errors import UserError
from clipnav.training.run_settings import read_presets
from clipnav.training.settings import check_counts, check_dropout, read_config
from clipnav.vl_tasks.settings.networks import check_heads
from clipnav.vl_tasks.settings.runs import FrozenEncoderConfig
from clipnav.vl_tasks.specs import PRESETS, Flag, chosen_preset
from clipnav.vl_tasks.text.ptb import CaptionTokenizer


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


@dataclass(frozen=True)
class CaptionConfig(FrozenEncoderConfig):
    """Settings of a captioning training.

    The phase "scst" starts from the weights of the cross-entropy run `start_from`.
    """

    COMMAND: ClassVar[str] = "clipnav train-captioner"
    TASK: ClassVar[str] = "captions"
    PRESETS: ClassVar[tuple[str, ...]] = ("houses", "small", "coco")
    # The tokenizer only affects the scores.
    MAY_CHANGE: ClassVar[frozenset[str]] = FrozenEncoderConfig.MAY_CHANGE | {"beams", "tokenizer"}
    OF_START: ClassVar[frozenset[str]] = frozenset(
        "preset vision standardise captioner min_count grids".split()
    )
    COMMON: ClassVar[tuple[str, ...]] = (
        *FrozenEncoderConfig.COMMON,
        "phase",
        "start_from",
        "beams",
    )

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
    def kind(self) -> str:
        """Task and variant, with which the name of a run begins."""
        return f"captions-{self.phase}"

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused = super().unused_options()
        if self.phase == "xe":
            unused["baseline"] = "without --start-from, which selects self-critical training"
        return unused


def caption_defaults(flag: Flag) -> CaptionConfig:
    """Return the settings without flags: a preset, or with --start-from those of that run.

    These have the changes of its preset for self-critical training.
    """
    start = flag("start-from")
    if start is None:
        return chosen_preset(CaptionConfig, flag, "captions")
    saved = read_config(Path(start), CaptionConfig)
    base = replace(saved, phase="scst", start_from=Path(start), output=None, resume=None)
    return read_presets(base, PRESETS, "scst")
