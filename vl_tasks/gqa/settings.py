"""Settings and presets of GQA."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.vl_tasks.settings.runs import HELD_OUT_ALONE, HOUSE_SPLITS, QuestionConfig
from clipnav.vl_tasks.specs import Flag, chosen_preset
from clipnav.vl_tasks.vqa.settings import FEATURE_PRESETS as VQA
from clipnav.vl_tasks.vqa.settings import SMALL_TUNED, as_published_vqa


@dataclass(frozen=True)
class GqaConfig(QuestionConfig):
    """Settings of a GQA training."""

    COMMAND: ClassVar[str] = "clipnav finetune-gqa"
    TASK: ClassVar[str] = "gqa"
    MAY_CHANGE: ClassVar[frozenset[str]] = QuestionConfig.MAY_CHANGE | {"consistency"}

    model: Literal["pythia", "mcan", "movie-mcan", "clip-vil-p"] = "mcan"
    """Architecture of the model."""
    loss: Literal["ce", "bce"] = "ce"
    """Loss: ce (cross-entropy, as in openvqa) or bce (binary cross-entropy, as in CLIP-ViL_p)."""
    faithful: bool = False
    """Exact computation of the published code: Pythia and MoVie+MCAN attend to padding, MCAN uses
    openvqa's layer normalisation, clip-vil-p with --loss ce multiplies the loss by the number of
    answers, and then by --clip-vil-p.loss-scale or again by the number of answers."""
    consistency: bool = True
    """Consistency among the final scores, for splits with a file of all questions: the entailed
    questions are answered, too."""

    @property
    def is_exclusive(self) -> bool:
        """Whether the loss is cross-entropy, for which exactly one answer is correct."""
        return self.loss == "ce"

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `TrainingConfig`."""
        unused = super().unused_options()
        if self.model == "clip-vil-p" and self.loss == "ce":
            del unused["faithful"]
        return unused


_TRAIN = 943_000  # balanced training questions


def _openvqa_mcan(size: str, learning_rate: float) -> GqaConfig:
    """Build openvqa's MCAN preset (configs/gqa/mcan_SIZE.yml): 11 epochs, decays after 8 and 10.

    The network and Adam are those of VQA. The stairs of the warm-up (openvqa/utils/optim.py) have
    quarters of WARMUP_EPOCH + 1 = 3 epochs; the third of them already has the full rate.
    """
    vqa, epoch = VQA[f"mcan-{size}"], _TRAIN // 64
    return GqaConfig(
        preset=f"mcan-{size}",
        data="data/gqa",
        regions=Path("data/gqa/regions"),
        select_by="testdev",
        evaluation_splits=("testdev",),
        model="mcan",
        mcan=vqa.mcan,
        faithful=True,
        tokenizer="openvqa",
        reduction="sum",
        max_words=30,
        min_count=1,
        standardise=False,
        optimiser=replace(
            vqa.optimiser,
            learning_rate=learning_rate,
            warmup=6 * _TRAIN // (4 * 64),
            warmup_stairs=2,
            milestones=(8 * epoch, 10 * epoch),
        ),
        iterations=11 * epoch,
        batch_size=64,
        evaluate_every=epoch,
    )


def _on_grids(published: GqaConfig) -> GqaConfig:
    """Build openvqa's preset with CLIP grid features instead of regions (unpublished)."""
    name = f"{published.preset}-grid"
    return replace(published, preset=name, regions=None, grids=VQA[name].grids)


_HOUSES = GqaConfig(
    preset="houses",
    **HOUSE_SPLITS,
    model="mcan",
    mcan=VQA["houses"].mcan,
    pythia=VQA["houses"].pythia,
    embedding_size=64,
    max_words=20,
    min_count=1,
    optimiser=VQA["houses"].optimiser,
    iterations=3000,
    batch_size=128,
    evaluate_every=500,
)
_SMALL = _openvqa_mcan("small", 1e-4)
_LARGE = _openvqa_mcan("large", 5e-5)
FEATURE_PRESETS = {
    "houses": _HOUSES,
    # The same for other data.
    "small": replace(_HOUSES, preset="small", data="questions", **HELD_OUT_ALONE),
    "mcan-small": _SMALL,
    "mcan-large": _LARGE,
    "mcan-small-grid": _on_grids(_SMALL),
    "mcan-large-grid": _on_grids(_LARGE),
}
CLIP_VIL_P_PRESETS = {
    "houses-clip-vil-p": GqaConfig(
        preset="houses-clip-vil-p", **HOUSE_SPLITS, **SMALL_TUNED, min_count=1
    ),
    "small-clip-vil-p": GqaConfig(
        preset="small-clip-vil-p", data="questions", **HELD_OUT_ALONE, **SMALL_TUNED, min_count=1
    ),
    # The published code (CLIP-ViL-Pretrain/src/tasks/gqa.py) fixes the loss: binary cross-entropy,
    # averaged and multiplied by the number of answers. The authors published no other settings for
    # GQA; these are those of VQA.
    "clip-vil-p": GqaConfig(
        preset="clip-vil-p",
        data="data/gqa",
        **as_published_vqa(_TRAIN // 256),
        loss="bce",
        min_count=1,
        select_by="testdev",
        evaluation_splits=("testdev",),
    ),
}
PRESETS = FEATURE_PRESETS | CLIP_VIL_P_PRESETS


def gqa_defaults(flag: Flag) -> GqaConfig:
    """Return the settings without flags."""
    return chosen_preset(PRESETS, flag)
