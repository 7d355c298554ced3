"""Default settings of map agents by dataset and world, and published settings.

`presets.toml` has those of DUET, and of BEVBert's RxR agent.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from clipnav.agents.duet.network_settings import MapRecipe
from clipnav.agents.duet.settings import MapAgentConfig, MapPretrainConfig, MapTrainConfig
from clipnav.agents.settings.command_line import parse_training
from clipnav.envs.worlds import World, is_built_in
from clipnav.training.presets import read_presets

Config = TypeVar("Config", bound=MapAgentConfig)

_FILE = Path(__file__).with_name("presets.toml")


def map_preset(dataset: str, world: World, recipe: MapRecipe | None = None) -> MapTrainConfig:
    """Return the default settings of a map agent.

    Without a recipe they are those of DUET for Matterport3D, with a text encoder that requires no
    download, and of "map-houses" for the built-in houses, with the expert and the metric of the
    dataset.

    Args:
        dataset: Dataset of instructions; ignored with a published recipe, which has its own.
    """
    return _preset(MapTrainConfig(dataset=dataset, world=world, preset=recipe), "map")


def pretraining_preset(
    dataset: str, world: World, recipe: MapRecipe | None = None
) -> MapPretrainConfig:
    """Return the default settings of a pre-training; the arguments are those of `map_preset`.

    The published settings have no feature dropout.
    """
    return _preset(MapPretrainConfig(dataset=dataset, world=world, preset=recipe), "pretraining")


def _preset(start: Config, training: str) -> Config:
    if start.preset not in (None, "map-houses"):
        return read_presets(start, _FILE, "presets", training=training)
    in_houses = start.preset == "map-houses" and not is_built_in(start.world)
    world = "houses" if in_houses else start.world
    return read_presets(start, _FILE, "defaults", training=training, world=world)


def map_defaults(
    dataset: str, world: World, recipe: MapRecipe | None, flag: Callable[[str], str | None]
) -> MapTrainConfig:
    """Return the settings of a map agent without flags, see `AgentSpec.defaults`."""
    return map_preset(dataset, world, recipe)


def parse_pretraining(
    arguments: Sequence[str], description: str | None = None
) -> MapPretrainConfig:
    """Return the settings of a map agent's pre-training from its command line."""
    return parse_training(MapPretrainConfig, pretraining_preset, arguments, description)
