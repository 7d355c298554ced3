"""Published recipes, value by value; the sources are named beside each."""

import dataclasses

import pytest

from clipnav.training.optimisers import learning_rate
from clipnav.vl_tasks.captioning.settings import PRESETS as CAPTION_PRESETS
from clipnav.vl_tasks.captioning.settings import SCST_CHANGES
from clipnav.vl_tasks.gqa.settings import PRESETS as GQA_PRESETS
from clipnav.vl_tasks.vqa.settings import FEATURE_PRESETS as VQA_PRESETS

# CLIP-ViL-Direct/vqa/mmf_configs/pythia/local_clip_rn50x4.yaml over mmf's pythia/defaults.yaml.
PYTHIA = {
    "model": "pythia",
    "tokenizer": "mmf",
    "max_words": 14,
    "embedding_size": 300,
    "faithful": True,
    "reduction": "mean",
    "regions": None,
    "standardise": False,
    "train_splits": ("train",),
    "iterations": 22_000,
    "batch_size": 512,
    "pythia": {
        "hidden_size": 1024,
        "attention_size": 512,
        "product_size": 5000,
        "text_head_size": 300,
        "dropout": 0,
    },
    "grids": {
        "encoder": "RN50x4",
        "pretrained": "openai",
        "fit": "stretch",
        "image_size": (600, 1000),
    },
    "optimiser": {
        "name": "adamax",
        "learning_rate": 0.01,
        "betas": (0.9, 0.999),
        "epsilon": 1e-8,
        "weight_decay": 0,
        "schedule": "steps",
        "warmup": 1000,
        "warmup_start": 0.2,
        "warmup_stairs": 0,
        "milestones": (15_000, 18_000, 20_000, 21_000),
        "decay": 0.1,
        "clip": "norm",
        "clip_at": 0.25,
    },
}
# CLIP-ViL-Direct/vqa/mmf_configs/mcan/local_clip_r50x4.yaml over mmf's movie_mcan/defaults.yaml.
MOVIE = {
    "model": "movie-mcan",
    "tokenizer": "mmf",
    "max_words": 14,
    "embedding_size": 300,
    "faithful": True,
    "reduction": "mean",
    "standardise": False,
    "train_splits": ("train", "val"),
    "iterations": 236_000,
    "batch_size": 64,
    "mcan": {
        "hidden_size": 1024,
        "feed_forward_size": 4096,
        "layers": 6,
        "heads": 8,
        "pooling_size": 512,
        "fused_size": 2048,
        "dropout": 0.1,
        "positions": False,
    },
    "grids": {
        "encoder": "RN50x4",
        "pretrained": "openai",
        "fit": "stretch",
        "image_size": (600, 1000),
    },
    "optimiser": {
        "name": "adamw",
        "learning_rate": 5e-5,
        "betas": (0.9, 0.98),
        "epsilon": 1e-9,
        "weight_decay": 0,
        "schedule": "steps",
        "warmup": 54_000,
        "warmup_start": 0.25,
        "warmup_stairs": 0,
        "milestones": (180_000, 216_000),
        "decay": 0.2,
        "clip": "none",
    },
}
# openvqa's configs/vqa/mcan_small.yml with core/base_cfgs.py; an epoch has 6,933 whole batches.
MCAN_SMALL = {
    "model": "mcan",
    "tokenizer": "openvqa",
    "max_words": 14,
    "embedding_size": 300,
    "faithful": True,
    "reduction": "sum",
    "variant": "V1",
    "standardise": False,
    "min_count": 9,
    "train_splits": ("train",),
    "iterations": 13 * 6933,
    "batch_size": 64,
    "evaluate_every": 6933,
    "mcan": {
        "hidden_size": 512,
        "feed_forward_size": 2048,
        "layers": 6,
        "heads": 8,
        "pooling_size": 512,
        "fused_size": 1024,
        "dropout": 0.1,
        "positions": False,
    },
    "optimiser": {
        "name": "adam",
        "learning_rate": 1e-4,
        "betas": (0.9, 0.98),
        "epsilon": 1e-9,
        "weight_decay": 0,
        "schedule": "steps",
        "warmup": 20_801,
        "warmup_stairs": 3,
        "milestones": (69_330, 83_196),
        "decay": 0.2,
        "clip": "none",
    },
}
MCAN_LARGE = {
    **MCAN_SMALL,
    "mcan": {
        **MCAN_SMALL["mcan"],
        "hidden_size": 1024,
        "feed_forward_size": 4096,
        "fused_size": 2048,
    },
    "optimiser": {**MCAN_SMALL["optimiser"], "learning_rate": 7e-5},
}
# openvqa's configs/gqa/mcan_small.yml; an epoch has 14,734 whole batches of 943,000 questions.
GQA_SMALL = {
    "model": "mcan",
    "loss": "ce",
    "tokenizer": "openvqa",
    "embedding_size": 300,
    "faithful": True,
    "reduction": "sum",
    "standardise": False,
    "min_count": 1,
    "train_splits": ("train",),
    "select_by": "testdev",
    "iterations": 11 * 14_734,
    "batch_size": 64,
    "evaluate_every": 14_734,
    "mcan": MCAN_SMALL["mcan"],
    "optimiser": {
        **MCAN_SMALL["optimiser"],
        "warmup": 22_101,
        "warmup_stairs": 2,
        "milestones": (8 * 14_734, 10 * 14_734),
    },
}
GQA_LARGE = {
    **GQA_SMALL,
    "mcan": MCAN_LARGE["mcan"],
    "optimiser": {**GQA_SMALL["optimiser"], "learning_rate": 5e-5},
}
# CLIP-ViL-Direct/caption/configs/phrase1/clip_rn50x4_transformer_scl.yml, utils/opts.py.
COCO = {
    "phase": "xe",
    "standardise": False,
    "batch_size": 10,
    "captions_per_image": 5,
    "iterations": 15 * 113_287 // 10,
    "evaluate_every": 3000,
    "max_words": 16,
    "max_length": 20,
    "min_count": 6,
    "captioner": {
        "hidden_size": 512,
        "feed_forward_size": 2048,
        "layers": 6,
        "heads": 8,
        "dropout": 0.1,
        "input_dropout": 0.5,
        "positions": False,
        "faithful": True,
    },
    "grids": {
        "encoder": "RN50x4",
        "pretrained": "openai",
        "fit": "stretch",
        "image_size": (448, 448),
    },
    "optimiser": {
        "name": "adam",
        "learning_rate": pytest.approx(512**-0.5 * 20_000**-0.5),
        "betas": (0.9, 0.98),
        "epsilon": 1e-9,
        "weight_decay": 0,
        "schedule": "noam",
        "warmup": 20_000,
        "clip": "value",
        "clip_at": 0.1,
    },
}
# .../configs/phrase2/clip_rn50x4_transformer_scl.yml: epochs 15 to 40.
SCST = {
    **COCO,
    "phase": "scst",
    "baseline": "greedy",
    "iterations": 25 * 113_287 // 10,
    "optimiser": {
        "name": "adam",
        "learning_rate": 5e-6,
        "betas": (0.9, 0.999),
        "epsilon": 1e-8,
        "weight_decay": 0,
        "schedule": "constant",
        "warmup": 0,
        "clip": "value",
        "clip_at": 0.1,
    },
}


def scst(tmp_path):
    coco = CAPTION_PRESETS["coco"]
    return dataclasses.replace(coco, phase="scst", start_from=tmp_path, **SCST_CHANGES["coco"])


@pytest.mark.parametrize(
    ("preset", "published"),
    [
        ("pythia-clip-vil", PYTHIA),
        ("movie-mcan-clip-vil", MOVIE),
        ("mcan-small", MCAN_SMALL),
        ("mcan-large", MCAN_LARGE),
        ("coco", COCO),
        ("coco, self-critical", SCST),
    ],
)
def test_published_recipes_have_the_published_values(preset, published, tmp_path):
    config = scst(tmp_path) if "self" in preset else {**VQA_PRESETS, **CAPTION_PRESETS}[preset]
    check(dataclasses.asdict(config), published)


@pytest.mark.parametrize(("size", "published"), [("small", GQA_SMALL), ("large", GQA_LARGE)])
def test_gqa_recipes_have_the_published_values(size, published):
    config = GQA_PRESETS[f"mcan-{size}"]
    check(dataclasses.asdict(config), published)
    twin = GQA_PRESETS[f"mcan-{size}-grid"]
    assert config.regions is not None
    assert (twin.regions, twin.grids.encoder) == (None, "RN50x4")
    changes = {"preset": config.preset, "regions": config.regions, "grids": config.grids}
    assert dataclasses.replace(twin, **changes) == config


@pytest.mark.parametrize(
    ("config", "records", "epochs"),
    [(VQA_PRESETS["mcan-small"], 443_757, 3), (GQA_PRESETS["mcan-small"], 943_000, 2)],
)
def test_openvqa_presets_warm_up_as_warmup_optimizer(config, records, epochs):
    """Compares with `WarmupOptimizer.rate` (openvqa/utils/optim.py), which always has quarters."""
    ends = [int(records / 64 * (epochs + 1) * share) for share in (0.25, 0.5, 0.75)]
    for step in {1, *(end + shift for end in ends for shift in (0, 1))}:
        stair = next((k for k, end in enumerate(ends, 1) if step <= end), epochs + 1)
        rate = learning_rate(config.optimiser, step - 1, 0.0)
        assert rate == pytest.approx(1e-4 * stair / (epochs + 1)), step


def check(found, published):
    for name, value in published.items():
        if isinstance(value, dict):
            check(found[name], value)
        else:
            assert found[name] == value, name


def test_mcan_small_uses_regions_and_its_grid_variant_grids():
    for size in ("small", "large"):
        published, twin = VQA_PRESETS[f"mcan-{size}"], VQA_PRESETS[f"mcan-{size}-grid"]
        assert published.regions is not None
        assert (twin.regions, twin.grids.encoder) == (None, "RN50x4")
        changes = {"preset": published.preset, "regions": published.regions}
        assert dataclasses.replace(twin, grids=published.grids, **changes) == published
