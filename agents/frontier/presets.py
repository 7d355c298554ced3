"""Default settings of frontier agents: those of followers, and those of `presets.toml`."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

from clipnav.agents.envdrop.presets import continues, recurrent_preset
from clipnav.agents.envdrop.settings import Recipe
from clipnav.agents.frontier.settings import FrontierTrainConfig
from clipnav.agents.settings import agent_of
from clipnav.envs.worlds import World
from clipnav.training.presets import read_presets

_FILE = Path(__file__).with_name("presets.toml")


def frontier_preset(
    dataset: str,
    world: World,
    recipe: Recipe | None = None,
    continued: bool = False,
    reinforced: bool = False,
) -> FrontierTrainConfig:
    """Return the default settings of a frontier agent: those of a follower, with DAgger.

    Args:
        recipe: Published settings of followers.
        reinforced: Whether it starts from a frontier agent. In the houses, reinforcement then
            improves an agent on the same data.
    """
    start = FrontierTrainConfig(dataset=dataset, world=world, preset=recipe)
    reinforced = reinforced and continued and world != "matterport"
    config = recurrent_preset(start, "frontier", continued, reinforced)
    if not continued:
        config = dataclasses.replace(config, cloning_iterations=config.iterations // 15)
    return read_presets(config, _FILE, "defaults")


def frontier_defaults(
    dataset: str, world: World, recipe: Recipe | None, flag: Callable[[str], str | None]
) -> FrontierTrainConfig:
    """Return the settings of a frontier agent without flags; see `follower_defaults`."""
    start = flag("start-from")
    reinforced = start is not None and agent_of(Path(start)) == "frontier"
    continued = continues(flag, dataset, world)
    return frontier_preset(dataset, world, recipe, continued, reinforced)
