"""Default settings of map agents by dataset and world, and published settings.

A published preset has the hyper-parameters of DUET's `map_nav_src/scripts/run_r2r.sh` and
`run_r4r.sh`, or of BEVBert's RxR agent. A comment marks each setting that has no published value.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

from clipnav.agents.duet.network_settings import (
    PRESETS,
    MapRecipe,
    MapTransformerConfig,
    pretraining_config,
)
from clipnav.agents.duet.settings import MapPretrainConfig, MapTrainConfig
from clipnav.agents.settings.command_line import parse_training
from clipnav.agents.settings.networks import TextConfig
from clipnav.envs.worlds import Dataset, World, is_built_in
from clipnav.training.optimiser_settings import OptimiserConfig

# AdamW with PyTorch's default weight decay, because --decay of the scripts is not passed on.
_ADAMW = OptimiserConfig(
    name="adamw", learning_rate=1e-5, weight_decay=0.01, clip="norm", clip_at=40.0
)
_DUET: dict[str, Any] = {
    "batch_size": 8,
    "bucket": 1,
    "iterations": 200_000,
    "evaluate_every": 1_000,
    "optimiser": _ADAMW,
    "max_decisions": 15,
    # No limit in the original; no walk of 15 decisions has as many hops.
    "max_episode_steps": 200,
    "max_instruction_length": 200,
    "teacher_weight": 0.2,
    "sampled_weight": 1.0,
    "expert": "spl",
    "select_by": "val_unseen",
    "select_metric": "SPL",
    "seed": 0,
}
# The optimiser's decay and clipping are DUET's. The original selects by SR + nDTW.
_BEVBERT: dict[str, Any] = {
    **_DUET,
    "iterations": 100_000,
    "max_decisions": 20,
    "teacher_weight": 0.8,
    "expert": "ndtw",
    "select_metric": "nDTW",
}
# Pre-training. The scripts evaluate by proxy losses only; here greedy walks select the weights.
_PRETRAINED: dict[str, Any] = {
    "iterations": 100_000,
    "evaluate_every": 2_500,
    "optimiser": OptimiserConfig(
        name="adamw",
        learning_rate=5e-5,
        betas=(0.9, 0.98),
        weight_decay=0.01,
        schedule="linear",
        warmup=10_000,
        clip="norm",
        clip_at=5.0,
    ),
}
_PRETRAINED_BY: dict[MapRecipe, dict[str, Any]] = {
    "duet-r2r": {"batch_size": 64},
    "duet-r4r": {"batch_size": 32, "evaluate_every": 5_000},
    # The third task of the original, masked semantics, needs its maps of object classes.
    "bevbert-rxr": {"batch_size": 64, "iterations": 200_000},
}
_PUBLISHED: dict[MapRecipe, dict[str, Any]] = {
    "duet-r2r": {**_DUET, "dataset": "r2r"},
    "duet-r4r": {**_DUET, "dataset": "r4r"},
    "bevbert-rxr": {**_BEVBERT, "dataset": "rxr"},
}
# The built-in houses on a CPU: a network of a hundredth of the size, with a learning rate that is
# seventy times as high, small batches and many updates. An agent that has cloned for a few minutes
# gets lost in walks of its own decisions, and loses what it has cloned; walks with three decisions
# in ten of its own stay near the reference path.
_HOUSES: dict[str, Any] = {
    "batch_size": 12,
    "bucket": 8,
    "iterations": 2_500,
    "evaluate_every": 500,
    "instructions_per_path": 3,
    "cloning_iterations": 1_500,
    "sampled_steps": 0.3,
    "max_decisions": 10,
    "max_episode_steps": 60,
    "optimiser": OptimiserConfig(
        name="adamw",
        learning_rate=7e-4,
        weight_decay=0.01,
        schedule="cosine",
        warmup=100,
        clip="norm",
        clip_at=5.0,
    ),
    "network": PRESETS["map-houses"],
}
# The large set has seven times as many paths.
_STANDARD: dict[str, Any] = {
    "iterations": 6_000,
    "evaluate_every": 1_000,
    "cloning_iterations": 3_500,
}
# RxR and R4R compare whole paths, which may enter a viewpoint twice.
_PATHS: dict[str, Any] = {
    "expert": "ndtw",
    "select_metric": "nDTW",
    "max_instruction_length": 160,
}
_DATASETS: dict[Dataset, dict[str, Any]] = {
    "r2r": {"max_instruction_length": 80},
    "rxr": {**_PATHS, "text": TextConfig(tokens="subwords"), "max_decisions": 20},
    "r4r": {**_PATHS, "max_decisions": 20},
}


def map_preset(dataset: Dataset, world: World, recipe: MapRecipe | None = None) -> MapTrainConfig:
    """Return the default settings of a map agent.

    Without a recipe they are those of DUET for Matterport3D, with a text encoder that requires no
    download, and of "map-houses" for the built-in houses, with the expert and the metric of the
    dataset.

    Args:
        dataset: Dataset of instructions; ignored with a published recipe, which has its own.
        world: Set of buildings.
        recipe: Named settings.
    """
    return MapTrainConfig(world=world, preset=recipe, **_values(dataset, world, recipe))


def pretraining_preset(
    dataset: Dataset, world: World, recipe: MapRecipe | None = None
) -> MapPretrainConfig:
    """Return the default settings of a pre-training; the arguments are those of `map_preset`.

    The published settings have no feature dropout.
    """
    names = {item.name for item in dataclasses.fields(MapPretrainConfig)}
    values = {n: v for n, v in _values(dataset, world, recipe).items() if n in names}
    if recipe in _PRETRAINED_BY or not (is_built_in(world) or recipe == "map-houses"):
        values |= _PRETRAINED | _PRETRAINED_BY[recipe or "duet-r2r"]
        values["network"] = pretraining_config(values["network"])
    else:
        values |= {"iterations": 4_000, "batch_size": 24}
    return MapPretrainConfig(world=world, preset=recipe, **values)


def _values(dataset: Dataset, world: World, recipe: MapRecipe | None) -> dict[str, Any]:
    """Return the settings of `map_preset` by name, without world and preset."""
    if recipe is not None and recipe in _PUBLISHED:
        network = PRESETS[recipe]
        text = TextConfig("pretrained", model=network.text_model, tune=True, learning_rate=1e-5)
        return {**_PUBLISHED[recipe], "network": network, "text": text}
    values = {**_DUET, "network": MapTransformerConfig(), "dataset": dataset}
    if is_built_in(world) or recipe == "map-houses":
        values |= _HOUSES | {"select_by": "val_seen"}
        values |= _STANDARD if world == "houses-standard" else {}
    if dataset != "r2r":
        values["network"] = dataclasses.replace(values["network"], revisits=True)
    return values | _DATASETS[dataset]


def map_defaults(
    dataset: Dataset, world: World, recipe: MapRecipe | None, flag: Callable[[str], str | None]
) -> MapTrainConfig:
    """Return the settings of a map agent without flags, see `AgentSpec.defaults`."""
    return map_preset(dataset, world, recipe)


def parse_pretraining(
    arguments: Sequence[str], description: str | None = None
) -> MapPretrainConfig:
    """Return the settings of a map agent's pre-training from its command line."""
    return parse_training(MapPretrainConfig, pretraining_preset, arguments, description)
