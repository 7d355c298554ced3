"""Presets of vision-and-language pre-training, and of fine-tuning what was pre-trained."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from clipnav.vl_tasks.settings.clip_vil_p import (
    FineTuningConfig,
    TextConfig,
    TrunkConfig,
    TrunkOptimiserConfig,
)
from clipnav.vl_tasks.settings.configs import HELD_OUT, EntailmentConfig, VqaConfig
from clipnav.vl_tasks.settings.gqa import GQA_TRAIN, GqaConfig
from clipnav.vl_tasks.settings.presets import HELD_OUT_ALONE, HOUSE_SPLITS, linear_adamw
from clipnav.vl_tasks.settings.pretraining import PretrainConfig

# Pairs of LXMERT's files mscoco_train, mscoco_nominival and vgnococo, whose number divided by the
# batch size of all processes is an epoch.
_PAIRS = 9_180_000
_GPUS, _ACCUMULATED = 8, 2


def _published(
    name: str,
    encoder: str,
    batch: int,
    rate: float,
    epochs: int,
    milestones: tuple[int, ...],
    answering: bool,
) -> PretrainConfig:
    """Build a stage of CLIP-ViL-Pretrain's recipe, for torchrun on eight GPUs."""
    epoch = _PAIRS // (batch * _GPUS * _ACCUMULATED)
    iterations = epochs * epoch
    return PretrainConfig(
        preset=name,
        data="data/lxmert",
        train_splits=("train", "nominival", "vgnococo"),
        select_by="minival",
        text=TextConfig(bert="bert-base-uncased"),
        trunk=TrunkConfig(encoder, "openai", standardise=False),
        answering=answering,
        faithful=True,
        optimiser=linear_adamw(rate, round(0.025 * iterations), epsilon=1e-6),
        trunk_optimiser=TrunkOptimiserConfig(milestones=tuple(k * epoch for k in milestones)),
        precision="fp16",
        iterations=iterations,
        batch_size=batch,
        accumulate=_ACCUMULATED,
        evaluate_every=epoch // 4,
        workers=8,
        device="cuda",
    )


_HOUSES = PretrainConfig(
    preset="houses",
    **HOUSE_SPLITS,
    # Dropout slows the training of so small a network, and it does not overfit in this time.
    text=TextConfig(
        vocabulary_size=600,
        hidden_size=128,
        layers=3,
        heads=4,
        feed_forward_size=256,
        dropout=0.0,
        pooling="means",
    ),
    trunk=TrunkConfig(positions=12, frozen_norms=True),
    # The cells of smaller images do not show the colour of small things.
    image_size=(192, 192),
    cells=None,
    max_words=32,
    exchanged=0.2,
    masked_questions=False,
    min_count=2,
    optimiser=linear_adamw(1e-3, 300),
    trunk_optimiser=TrunkOptimiserConfig(3e-4, name="adamw"),
    precision="auto",
    iterations=7500,
    batch_size=128,
    pairs_per_image=8,
    evaluate_every=500,
    evaluation_pairs=4000,
)
PRETRAIN_PRESETS = {
    # For two cores of a laptop.
    "houses": _HOUSES,
    # The same for the user's own captions and questions.
    "small": replace(
        _HOUSES,
        preset="small",
        data="photos",
        select_by=HELD_OUT,
        evaluation_splits=(),
        image_size=(192, 288),
    ),
    # Stage 1 has a schedule of 20 epochs, and was stopped after epoch 9: add --iterations or press
    # Ctrl-C. Stage 2 starts from it with --start-from.
    "rn50-stage-1": _published("rn50-stage-1", "RN50", 32, 1e-4, 20, (12, 17), False),
    "rn50-stage-2": _published("rn50-stage-2", "RN50", 32, 5e-5, 11, (4, 8), True),
    "rn50x4-stage-1": _published("rn50x4-stage-1", "RN50x4", 30, 5e-5, 20, (12, 17), False),
    "rn50x4-stage-2": _published("rn50x4-stage-2", "RN50x4", 30, 2.75e-5, 11, (4, 9), True),
}

# Questions of train and nominival: VQA v2's train and val without the 25,994 of minival.
_VQA_UPDATES = (443_757 + 214_354 - 25_994) // 256  # an epoch

_SMALL: dict[str, Any] = {
    "model": "clip-vil-p",
    "start_from": Path("runs/pretrain-vl-house"),
    "clip_vil_p": FineTuningConfig(
        TrunkOptimiserConfig(1e-4, name="adamw"),
        frozen_norms=True,
        # Fine-tuning alone is long enough to overfit.
        dropout=0.1,
        max_words=32,
        sentences_per_image=8,
        precision="auto",
    ),
    "optimiser": linear_adamw(5e-4, 100),
    "iterations": 4000,
    "batch_size": 64,
    "evaluate_every": 500,
}
CLIP_VIL_P_VQA = {
    "houses-clip-vil-p": VqaConfig(preset="houses-clip-vil-p", **HOUSE_SPLITS, **_SMALL),
    "small-clip-vil-p": VqaConfig(
        preset="small-clip-vil-p", data="photos", **HELD_OUT_ALONE, **_SMALL
    ),
    # CLIP-ViL-Pretrain's only published fine-tuning (RN50x4): five epochs.
    "clip-vil-p": VqaConfig(
        preset="clip-vil-p",
        data="data/vqa",
        model="clip-vil-p",
        start_from=Path("runs/rn50x4-stage-2"),
        clip_vil_p=FineTuningConfig(
            TrunkOptimiserConfig(0.001, milestones=(2 * _VQA_UPDATES,)),
            loss_scale=500.0,
            accumulate=32,
            precision="fp16",
            workers=8,
        ),
        optimiser=linear_adamw(5e-5, round(0.05 * 5 * _VQA_UPDATES), epsilon=1e-6),
        iterations=5 * _VQA_UPDATES,
        batch_size=8,
        evaluate_every=_VQA_UPDATES,
        train_splits=("train", "nominival"),
        select_by="minival",
        evaluation_splits=("minival",),
        device="cuda",
    ),
}
_PUBLISHED_VQA = CLIP_VIL_P_VQA["clip-vil-p"]


def _as_vqa(epoch: int) -> dict[str, Any]:
    """Return the published settings of VQA for epochs of other lengths, but for its loss scale."""
    tuning, optimiser = _PUBLISHED_VQA.clip_vil_p, _PUBLISHED_VQA.optimiser
    trunk = replace(tuning.trunk_optimiser, milestones=(2 * epoch,))
    return {
        "model": "clip-vil-p",
        "start_from": _PUBLISHED_VQA.start_from,
        "clip_vil_p": replace(tuning, trunk_optimiser=trunk, loss_scale=None),
        "optimiser": replace(optimiser, warmup=round(0.05 * 5 * epoch)),
        "iterations": 5 * epoch,
        "batch_size": _PUBLISHED_VQA.batch_size,
        "evaluate_every": epoch,
        "device": "cuda",
    }


CLIP_VIL_P_GQA = {
    "houses-clip-vil-p": GqaConfig(
        preset="houses-clip-vil-p", **HOUSE_SPLITS, **_SMALL, min_count=1
    ),
    "small-clip-vil-p": GqaConfig(
        preset="small-clip-vil-p", data="questions", **HELD_OUT_ALONE, **_SMALL, min_count=1
    ),
    # The published code (CLIP-ViL-Pretrain/src/tasks/gqa.py) fixes the loss: binary cross-entropy,
    # averaged and multiplied by the number of answers. The authors published no other settings for
    # GQA; these are those of VQA.
    "clip-vil-p": GqaConfig(
        preset="clip-vil-p",
        data="data/gqa",
        **_as_vqa(GQA_TRAIN // 256),
        loss="bce",
        min_count=1,
        select_by="testdev",
        evaluation_splits=("testdev",),
    ),
}
CLIP_VIL_P_ENTAILMENT = {
    "houses-clip-vil-p": EntailmentConfig(preset="houses-clip-vil-p", **HOUSE_SPLITS, **_SMALL),
    "small-clip-vil-p": EntailmentConfig(
        preset="small-clip-vil-p", data="photos", **HELD_OUT_ALONE, **_SMALL
    ),
    # The published code (CLIP-ViL-Pretrain/src/tasks/snli.py) fixes the loss, cross-entropy, and
    # shares the optimisers of VQA. The authors published no other settings for SNLI-VE; these are
    # those of VQA, with 2,000 updates for an epoch.
    "clip-vil-p": EntailmentConfig(
        preset="clip-vil-p",
        data="data/snli_ve",
        **_as_vqa(2000),
        select_by="dev",
        evaluation_splits=("dev", "test"),
    ),
}
