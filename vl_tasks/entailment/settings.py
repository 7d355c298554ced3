"""Settings of visual entailment."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.training.settings import check_counts, check_dropout
from clipnav.vl_tasks.settings.networks import McanConfig
from clipnav.vl_tasks.settings.runs import OF_FROZEN_ENCODERS, FineTunableConfig
from clipnav.vl_tasks.specs import Flag, chosen_preset


@dataclass(frozen=True)
class EntailmentConfig(FineTunableConfig):
    """Settings of a visual entailment training."""

    COMMAND: ClassVar[str] = "clipnav finetune-snli-ve"
    TASK: ClassVar[str] = "snli-ve"
    PRESETS: ClassVar[tuple[str, ...]] = (
        *("houses", "small", "snli-ve", "snli-ve-two-tower"),
        *("houses-clip-vil-p", "small-clip-vil-p", "clip-vil-p"),
    )

    model: Literal["fused", "two-tower", "clip-vil-p"] = "fused"
    """Architecture: fused (MCAN over words and grid cells), two-tower (a small network over the
    CLIP embeddings of image and sentence), or clip-vil-p (see --start-from)."""
    mcan: McanConfig = field(default_factory=McanConfig)
    """Sizes of the fused model."""
    hidden_size: int = 512
    """Hidden width of the two-tower model."""
    embedding_size: int = 300
    """Width of the word embeddings."""
    glove: Path | None = None
    """GloVe text file that initialises the word embeddings."""
    max_words: int = 30
    """Maximum number of words of a hypothesis; longer hypotheses are truncated."""
    dropout: float = 0.1
    """Dropout rate of the two-tower model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("hidden_size", "embedding_size", "max_words"))
        check_dropout(self, ("dropout",))

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused = super().unused_options()
        if self.model == "two-tower" and not self.vision:
            del unused["grids"]  # the CLIP encoder encodes the sentences
        two_tower = ("hidden_size", "dropout")
        names = {
            "fused": two_tower,
            "two-tower": ("mcan", "embedding_size", "glove", "max_words", "standardise"),
            "clip-vil-p": ("mcan", *two_tower, *OF_FROZEN_ENCODERS, "clip_vil_p.loss_scale"),
        }
        return unused | dict.fromkeys(names[self.model], f"with --model {self.model}")


def entailment_defaults(flag: Flag) -> EntailmentConfig:
    """Return the settings without flags."""
    return chosen_preset(EntailmentConfig, flag, "fine-tuned", "snli-ve")
