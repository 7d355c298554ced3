"""Presets: published settings with their sources, and our own for the built-in data."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.vl_tasks.settings.captions import CaptionConfig
from clipnav.vl_tasks.settings.configs import HELD_OUT, EntailmentConfig, VqaConfig
from clipnav.vl_tasks.settings.grids import GridConfig
from clipnav.vl_tasks.settings.network_sizes import CaptionerConfig, McanConfig, PythiaConfig

_SMALL = McanConfig(
    hidden_size=128,
    feed_forward_size=256,
    layers=2,
    heads=4,
    pooling_size=128,
    fused_size=256,
    positions=True,
)
# Of all models, so that --model alone changes to another one that trains in minutes.
_SMALL_NETWORKS: dict[str, Any] = {
    "mcan": _SMALL,
    "pythia": PythiaConfig(hidden_size=128, attention_size=64, product_size=512, text_head_size=64),
}
_LARGE = McanConfig(hidden_size=1024, feed_forward_size=4096, pooling_size=512, fused_size=2048)
# CLIP-ViL stretches images to 600 x 1000, which gives 18 x 31 grid cells.
_CLIP_VIL_GRIDS = GridConfig("RN50x4", "openai", fit="stretch", image_size=(600, 1000))
_VQA_V2_TRAIN = 443_757  # questions
# Default folder of openvqa's bottom-up features of VQA v2.
_REGIONS = Path("data/vqa/regions")
# Adam as in "Attention Is All You Need", section 5.3.
_ADAM: dict[str, Any] = {"betas": (0.9, 0.98), "epsilon": 1e-9}


def _one_cycle(learning_rate: float, warmup: int) -> OptimiserConfig:
    return OptimiserConfig(
        "adamw",
        learning_rate,
        **_ADAM,
        schedule="cosine",
        # The first update is step 1 of the warm-up, not step 0, so its rate is not 0.
        warmup=warmup - 1,
        warmup_start=1 / warmup,
        clip="norm",
        clip_at=1.0,
    )


def linear_adamw(learning_rate: float, warmup: int, epsilon: float = 1e-8) -> OptimiserConfig:
    """Build the optimiser that BERT is trained with: AdamW with a rate that decays to 0."""
    return OptimiserConfig(
        "adamw",
        learning_rate,
        epsilon=epsilon,
        weight_decay=0.01,
        schedule="linear",
        warmup=warmup,
        clip="norm",
        clip_at=1.0,
    )


# Images of the training houses select the checkpoint; images of other houses are the test split.
HOUSE_SPLITS: dict[str, Any] = {
    "select_by": "val_seen",
    "evaluation_splits": ("val_seen", "val_unseen"),
}
HELD_OUT_ALONE: dict[str, Any] = {"select_by": HELD_OUT, "evaluation_splits": (HELD_OUT,)}


def _openvqa_mcan(size: str, learning_rate: float, mcan: McanConfig) -> VqaConfig:
    """Build openvqa's MCAN preset (configs/vqa/mcan_SIZE.yml): 13 epochs, decays after 10 and 12.

    The warm-up of three epochs is a staircase (openvqa/utils/optim.py). An epoch drops the last
    incomplete batch, but the warm-up counts its questions (train_engine.py).
    """
    epoch = _VQA_V2_TRAIN // 64
    return VqaConfig(
        preset=f"mcan-{size}",
        data="data/vqa",
        regions=_REGIONS,
        model="mcan",
        mcan=mcan,
        faithful=True,
        tokenizer="openvqa",
        reduction="sum",
        variant="V1",
        standardise=False,
        optimiser=OptimiserConfig(
            "adam",
            learning_rate,
            **_ADAM,
            schedule="steps",
            warmup=3 * _VQA_V2_TRAIN // 64,
            warmup_stairs=3,
            milestones=(10 * epoch, 12 * epoch),
            decay=0.2,
        ),
        iterations=13 * epoch,
        batch_size=64,
        evaluate_every=epoch,
    )


def _on_grids(published: VqaConfig) -> VqaConfig:
    """Build openvqa's preset with CLIP grid features instead of regions (unpublished)."""
    return replace(
        published, preset=f"{published.preset}-grid", regions=None, grids=_CLIP_VIL_GRIDS
    )


_MCAN_SMALL = _openvqa_mcan("small", 1e-4, McanConfig())
_MCAN_LARGE = _openvqa_mcan("large", 7e-5, _LARGE)


VQA_PRESETS = {
    "houses": VqaConfig(
        preset="houses",
        **HOUSE_SPLITS,
        model="mcan",
        **_SMALL_NETWORKS,
        embedding_size=64,
        max_words=20,
        optimiser=_one_cycle(1e-3, 200),
        iterations=3000,
        batch_size=128,
        evaluate_every=500,
    ),
    "easy-vqa": VqaConfig(
        preset="easy-vqa",
        data="easy-vqa",
        select_by=HELD_OUT,
        evaluation_splits=("test",),
        # One shape per image: MCAN overfits to this small number of images.
        model="pythia",
        **_SMALL_NETWORKS,
        embedding_size=64,
        optimiser=_one_cycle(1e-3, 200),
        iterations=1500,
        batch_size=128,
        evaluate_every=250,
    ),
    # A few hundred of the user's own photos, on a laptop and without a network connection.
    "small": VqaConfig(
        preset="small",
        data="photos",
        **HELD_OUT_ALONE,
        model="pythia",
        **_SMALL_NETWORKS,
        embedding_size=64,
        min_count=1,
        optimiser=_one_cycle(1e-3, 50),
        iterations=600,
        batch_size=64,
        evaluate_every=100,
    ),
    # CLIP-ViL-Direct/vqa/mmf_configs/pythia/local_clip_*.yaml on mmf's pythia.
    "pythia-clip-vil": VqaConfig(
        preset="pythia-clip-vil",
        data="data/vqa",
        model="pythia",
        pythia=PythiaConfig(dropout=0.0),
        faithful=True,
        tokenizer="mmf",
        grids=_CLIP_VIL_GRIDS,
        standardise=False,
        optimiser=OptimiserConfig(
            "adamax",
            0.01,
            schedule="steps",
            warmup=1000,
            warmup_start=0.2,
            milestones=(15_000, 18_000, 20_000, 21_000),
            decay=0.1,
            clip="norm",
            clip_at=0.25,
        ),
        iterations=22_000,
        batch_size=512,
        evaluate_every=1000,
    ),
    # CLIP-ViL-Direct/vqa/mmf_configs/mcan/local_clip_*.yaml on mmf's movie_mcan. Its training data
    # also contains Visual Genome, with features of another encoder.
    "movie-mcan-clip-vil": VqaConfig(
        preset="movie-mcan-clip-vil",
        data="data/vqa",
        model="movie-mcan",
        mcan=_LARGE,
        faithful=True,
        tokenizer="mmf",
        grids=_CLIP_VIL_GRIDS,
        standardise=False,
        optimiser=OptimiserConfig(
            "adamw",
            5e-5,
            **_ADAM,
            schedule="steps",
            warmup=54_000,
            warmup_start=0.25,
            milestones=(180_000, 216_000),
            decay=0.2,
        ),
        iterations=236_000,
        batch_size=64,
        evaluate_every=10_000,
        train_splits=("train", "val"),
    ),
    "mcan-small": _MCAN_SMALL,
    "mcan-large": _MCAN_LARGE,
    "mcan-small-grid": _on_grids(_MCAN_SMALL),
    "mcan-large-grid": _on_grids(_MCAN_LARGE),
}

_HOUSE_ENTAILMENT = EntailmentConfig(
    preset="houses",
    **HOUSE_SPLITS,
    mcan=_SMALL,
    embedding_size=64,
    optimiser=_one_cycle(1e-3, 200),
    iterations=3000,
    batch_size=128,
    evaluate_every=500,
)
ENTAILMENT_PRESETS = {
    "houses": _HOUSE_ENTAILMENT,
    # The same for the user's own sentences.
    "small": replace(_HOUSE_ENTAILMENT, preset="small", data="photos", **HELD_OUT_ALONE),
    # Our own: CLIP-ViL published no settings for SNLI-VE.
    "snli-ve": EntailmentConfig(
        preset="snli-ve",
        data="data/snli_ve",
        select_by="dev",
        evaluation_splits=("dev", "test"),
        grids=GridConfig("RN50x4", "openai", fit="stretch", image_size=(448, 448)),
        optimiser=_one_cycle(1e-4, 2000),
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
        optimiser=_one_cycle(1e-3, 1000),
        iterations=20_000,
        batch_size=512,
        evaluate_every=2000,
    ),
}

_SMALL_CAPTIONER = CaptionerConfig(
    hidden_size=128, feed_forward_size=256, layers=2, heads=4, input_dropout=0.1, positions=True
)
_XE_IMAGES = 113_287  # train and restval of Karpathy's split
_COCO_GRIDS = GridConfig("RN50x4", "openai", fit="stretch", image_size=(448, 448))

# The house captions use Karpathy's split names: val is val_seen, test is val_unseen.
_HOUSE_CAPTIONS = CaptionConfig(
    preset="houses",
    evaluation_splits=("val", "test"),
    captioner=_SMALL_CAPTIONER,
    optimiser=_one_cycle(1e-3, 200),
    iterations=4000,
    batch_size=32,
    captions_per_image=3,
    min_count=2,
    max_words=24,
    max_length=28,
    evaluate_every=500,
    beams=3,
)
CAPTION_PRESETS = {
    "houses": _HOUSE_CAPTIONS,
    # The same for the user's own photos.
    "small": replace(_HOUSE_CAPTIONS, preset="small", data="photos", evaluation_splits=("val",)),
    # CLIP-ViL-Direct/caption (ImageCaptioning.pytorch, configs/transformer): 15 epochs; the peak
    # learning rate of the Noam schedule is 1 / sqrt(width * warm-up).
    "coco": CaptionConfig(
        preset="coco",
        data="data/coco",
        evaluation_splits=("val", "test"),
        grids=_COCO_GRIDS,
        captioner=CaptionerConfig(faithful=True),
        standardise=False,
        optimiser=OptimiserConfig(
            "adam",
            (512 * 20_000) ** -0.5,
            **_ADAM,
            schedule="noam",
            warmup=20_000,
            clip="value",
            clip_at=0.1,
        ),
        iterations=15 * _XE_IMAGES // 10,
        batch_size=10,
        evaluate_every=3000,
    ),
}
_HOUSE_SCST: dict[str, Any] = {
    "optimiser": OptimiserConfig("adam", 5e-5, clip="norm", clip_at=1.0),
    "iterations": 1500,
    "batch_size": 16,
    "captions_per_image": 5,
    "baseline": "samples",
    "evaluate_every": 250,
}
# Changes for self-critical training. The original Adam has betas 0.9, 0.999 and epsilon 1e-8.
SCST_CHANGES: dict[str, dict[str, Any]] = {
    "houses": _HOUSE_SCST,
    "small": _HOUSE_SCST,
    "coco": {
        "optimiser": OptimiserConfig("adam", 5e-6, clip="value", clip_at=0.1),
        "iterations": 25 * _XE_IMAGES // 10,
        "evaluate_every": 3000,
    },
}
