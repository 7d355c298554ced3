"""Default and published settings of continuous agents, from `presets.toml`."""

from collections.abc import Sequence
from pathlib import Path

from clipnav.agents.continuous.settings import ContinuousRecipe, ContinuousTrainConfig
from clipnav.agents.settings.command_line import parse_training
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.worlds import World
from clipnav.training.presets import read_presets

_FILE = Path(__file__).with_name("presets.toml")


def continuous_defaults(
    dataset: str = "r2r",
    world: World = "houses",
    recipe: ContinuousRecipe | None = None,
) -> ContinuousTrainConfig:
    """Return the default settings of a task and world.

    Args:
        recipe: Published settings; None for a short training of a small CMA by DAgger on a CPU.
    """
    start = ContinuousTrainConfig(dataset=dataset, world=world, preset=recipe)
    like = dataset_spec(dataset).like
    return read_presets(start, _FILE, "defaults" if recipe is None else "presets", dataset=like)


def parse_continuous(
    arguments: Sequence[str], description: str | None = None
) -> ContinuousTrainConfig:
    """Return the settings of a continuous agent's training from its command line."""
    return parse_training(ContinuousTrainConfig, continuous_defaults, arguments, description)
