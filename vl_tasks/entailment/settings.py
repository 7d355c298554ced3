"""Settings and presets of visual entailment."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.training.settings import check_counts, check_dropout
from clipnav.vl_tasks.settings.networks import GridConfig, McanConfig
from clipnav.vl_tasks.settings.runs import (
    HELD_OUT_ALONE,
    HOUSE_SPLITS,
    OF_FROZEN_ENCODERS,
    FineTunableConfig,
    one_cycle,
)
from clipnav.vl_tasks.specs import Flag, chosen_preset
from clipnav.vl_tasks.vqa.settings import SMALL_MCAN, SMALL_TUNED, as_published_vqa


@dataclass(frozen=True)
class EntailmentConfig(FineTunableConfig):
    """Settings of a visual entailment training."""

    COMMAND: ClassVar[str] = "clipnav finetune-snli-ve"
    TASK: ClassVar[str] = "snli-ve"

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


_HOUSES = EntailmentConfig(
    preset="houses",
    **HOUSE_SPLITS,
    mcan=SMALL_MCAN,
    embedding_size=64,
    optimiser=one_cycle(1e-3, 200),
    iterations=3000,
    batch_size=128,
    evaluate_every=500,
)
FEATURE_PRESETS = {
    "houses": _HOUSES,
    # The same for the user's own sentences.
    "small": replace(_HOUSES, preset="small", data="photos", **HELD_OUT_ALONE),
    # Our own: CLIP-ViL published no settings for SNLI-VE.
    "snli-ve": EntailmentConfig(
        preset="snli-ve",
        data="data/snli_ve",
        select_by="dev",
        evaluation_splits=("dev", "test"),
        grids=GridConfig("RN50x4", "openai", fit="stretch", image_size=(448, 448)),
        optimiser=one_cycle(1e-4, 2000),
        iterations=60_000,
        batch_size=64,
        evaluate_every=3000,
    ),
    # The two-tower model over CLIP embeddings, which trains in minutes.
    "snli-ve-two-tower": EntailmentConfig(
        preset="snli-ve-two-tower",
        data="data/snli_ve",
        select_by="dev",
        evaluation_splits=("dev", "test"),
        model="two-tower",
        grids=GridConfig("RN50x4", "openai"),
        optimiser=one_cycle(1e-3, 1000),
        iterations=20_000,
        batch_size=512,
        evaluate_every=2000,
    ),
}

CLIP_VIL_P_PRESETS = {
    "houses-clip-vil-p": EntailmentConfig(
        preset="houses-clip-vil-p", **HOUSE_SPLITS, **SMALL_TUNED
    ),
    "small-clip-vil-p": EntailmentConfig(
        preset="small-clip-vil-p", data="photos", **HELD_OUT_ALONE, **SMALL_TUNED
    ),
    # The published code (CLIP-ViL-Pretrain/src/tasks/snli.py) fixes the loss, cross-entropy, and
    # shares the optimisers of VQA. The authors published no other settings for SNLI-VE; these are
    # those of VQA, with 2,000 updates for an epoch.
    "clip-vil-p": EntailmentConfig(
        preset="clip-vil-p",
        data="data/snli_ve",
        **as_published_vqa(2000),
        select_by="dev",
        evaluation_splits=("dev", "test"),
    ),
}
PRESETS = FEATURE_PRESETS | CLIP_VIL_P_PRESETS


def entailment_defaults(flag: Flag) -> EntailmentConfig:
    """Return the settings without flags."""
    return chosen_preset(PRESETS, flag)
