"""Settings and presets of GQA trainings.

The field docstrings are the ``--help`` texts. This module does not import torch, so that ``--help``
returns at once.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from training.optimiser_settings import OptimiserConfig
from vl_tasks.settings.configs import QuestionConfig
from vl_tasks.settings.models import McanConfig
from vl_tasks.settings.presets import (
    ADAM,
    CLIP_VIL_GRIDS,
    HELD_OUT_ALONE,
    HOUSE_SPLITS,
    LARGE_MCAN,
    SMALL_MCAN,
    one_cycle,
)


@dataclass(frozen=True)
class GqaConfig(QuestionConfig):
    """Settings of a GQA training."""

    COMMAND: ClassVar[str] = "clipnav finetune-gqa"
    """Script that trains such runs."""
    objective: Literal["ce", "bce"] = "ce"
    """Loss: ce (cross-entropy, as in openvqa) or bce (binary cross-entropy, as in CLIP-ViL_p)."""
    consistency: bool = True
    """Consistency among the final scores, for splits with a file of all questions: the entailed
    questions are answered, too."""

    @property
    def task(self) -> str:
        """Name of the task."""
        return f"gqa-{self.model}"


_TRAIN = 943_000  # balanced training questions


def _openvqa_mcan(size: str, learning_rate: float, mcan: McanConfig) -> GqaConfig:
    """Build openvqa's MCAN preset (configs/gqa/mcan_SIZE.yml): 11 epochs, decays after 8 and 10.

    The warm-up of two epochs is a staircase, see `presets`.
    """
    epoch = _TRAIN // 64
    return GqaConfig(
        preset=f"mcan-{size}",
        data="data/gqa",
        regions=Path("data/gqa/regions"),
        select_by="testdev",
        evaluation_splits=("testdev",),
        model="mcan",
        mcan=mcan,
        faithful=True,
        tokenizer="openvqa",
        loss="sum",
        words=30,
        min_count=1,
        standardise=False,
        optimiser=OptimiserConfig(
            "adam",
            learning_rate,
            **ADAM,
            schedule="steps",
            warmup=2 * _TRAIN // 64,
            warmup_stairs=2,
            milestones=(8 * epoch, 10 * epoch),
            decay=0.2,
        ),
        iterations=11 * epoch,
        batch_size=64,
        evaluate_every=epoch,
    )


def _on_grids(published: GqaConfig) -> GqaConfig:
    """Build openvqa's preset with CLIP grid features instead of regions (unpublished)."""
    return replace(published, preset=f"{published.preset}-grid", regions=None, grids=CLIP_VIL_GRIDS)


_HOUSES = GqaConfig(
    preset="houses",
    **HOUSE_SPLITS,
    model="mcan",
    mcan=SMALL_MCAN,
    embedding=64,
    words=20,
    min_count=1,
    optimiser=one_cycle(1e-3, 200),
    iterations=3000,
    batch_size=128,
    evaluate_every=500,
)
_SMALL = _openvqa_mcan("small", 1e-4, McanConfig())
_LARGE = _openvqa_mcan("large", 5e-5, LARGE_MCAN)
GQA_PRESETS = {
    "houses": _HOUSES,
    # The same for other data.
    "small": replace(_HOUSES, preset="small", data="questions", **HELD_OUT_ALONE),
    "mcan-small": _SMALL,
    "mcan-large": _LARGE,
    "mcan-small-grid": _on_grids(_SMALL),
    "mcan-large-grid": _on_grids(_LARGE),
}
