"""Default and published settings of continuous agents, from `presets.toml`."""

from pathlib import Path
from typing import Literal

from clipnav.agents.continuous.settings import ContinuousRecipe, ContinuousTrainConfig
from clipnav.envs.worlds import World
from clipnav.training.presets import read_presets

_FILE = Path(__file__).with_name("presets.toml")


def continuous_defaults(
    dataset: Literal["r2r", "rxr"] = "r2r",
    world: World = "houses",
    recipe: ContinuousRecipe | None = None,
) -> ContinuousTrainConfig:
    """Return the default settings of a task and world.

    Args:
        dataset: Task: R2R-CE or RxR-CE.
        world: Set of houses.
        recipe: Published settings; None for a short training of a small CMA by DAgger on a CPU.
    """
    start = ContinuousTrainConfig(dataset=dataset, world=world, preset=recipe)
    return read_presets(start, _FILE, "defaults" if recipe is None else "presets")
