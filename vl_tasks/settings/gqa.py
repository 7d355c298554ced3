"""Settings and presets of GQA trainings.

The field docstrings are the ``--help`` texts. This module does not import torch, so that ``--help``
returns at once.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.storage.json_files import read_json
from clipnav.training.settings import CONFIG, read_config
from clipnav.vl_tasks.settings.configs import QuestionConfig, VqaConfig
from clipnav.vl_tasks.settings.presets import HELD_OUT_ALONE, HOUSE_SPLITS, VQA_PRESETS


@dataclass(frozen=True)
class GqaConfig(QuestionConfig):
    """Settings of a GQA training."""

    COMMAND: ClassVar[str] = "clipnav finetune-gqa"
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

    @property
    def task(self) -> str:
        """Name of the task."""
        return f"gqa-{self.model}"


def read_question_config(run: Path) -> VqaConfig | GqaConfig:
    """Read the settings of a run of clipnav finetune-vqa or clipnav finetune-gqa.

    Raises:
        FileNotFoundError: The folder is not a run.
        UserError: The file is damaged, or of another training.
    """
    path = run / CONFIG
    if path.is_file():
        remedy = f"name a run of {VqaConfig.COMMAND} or {GqaConfig.COMMAND}"
        values = read_json(path, remedy, allow_nan=True)
        if isinstance(values, dict) and "consistency" in values:  # of no other training
            return read_config(run, GqaConfig)
    return read_config(run, VqaConfig)


GQA_TRAIN = 943_000  # balanced training questions


def _openvqa_mcan(size: str, learning_rate: float) -> GqaConfig:
    """Build openvqa's MCAN preset (configs/gqa/mcan_SIZE.yml): 11 epochs, decays after 8 and 10.

    The network and Adam are those of VQA. The stairs of the warm-up (openvqa/utils/optim.py) have
    quarters of WARMUP_EPOCH + 1 = 3 epochs; the third of them already has the full rate.
    """
    vqa, epoch = VQA_PRESETS[f"mcan-{size}"], GQA_TRAIN // 64
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
            warmup=6 * GQA_TRAIN // (4 * 64),
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
    return replace(published, preset=name, regions=None, grids=VQA_PRESETS[name].grids)


_HOUSES = GqaConfig(
    preset="houses",
    **HOUSE_SPLITS,
    model="mcan",
    mcan=VQA_PRESETS["houses"].mcan,
    pythia=VQA_PRESETS["houses"].pythia,
    embedding_size=64,
    max_words=20,
    min_count=1,
    optimiser=VQA_PRESETS["houses"].optimiser,
    iterations=3000,
    batch_size=128,
    evaluate_every=500,
)
_SMALL = _openvqa_mcan("small", 1e-4)
_LARGE = _openvqa_mcan("large", 5e-5)
GQA_PRESETS = {
    "houses": _HOUSES,
    # The same for other data.
    "small": replace(_HOUSES, preset="small", data="questions", **HELD_OUT_ALONE),
    "mcan-small": _SMALL,
    "mcan-large": _LARGE,
    "mcan-small-grid": _on_grids(_SMALL),
    "mcan-large-grid": _on_grids(_LARGE),
}
