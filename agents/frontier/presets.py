"""Default settings of frontier agents by dataset and world."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clipnav.agents.envdrop.presets import continues, preset
from clipnav.agents.envdrop.settings import (
    Recipe,
    RecurrentAgentConfig,
)
from clipnav.agents.frontier.settings import FrontierTrainConfig
from clipnav.agents.settings import (
    RepresentationConfig,
    agent_of,
)
from clipnav.envs.worlds import Dataset, World

_FRONTIER_PATHS: dict[str, Any] = {"expert": "ndtw", "max_decisions": 20}


def frontier_preset(
    dataset: Dataset,
    world: World,
    recipe: Recipe | None = None,
    continued: bool = False,
    reinforced: bool = False,
) -> FrontierTrainConfig:
    """Return the default settings of a frontier agent: those of a follower, with DAgger.

    Args:
        dataset: Dataset of instructions; ignored with a recipe, which has its own.
        world: Set of buildings.
        recipe: Published settings of followers.
        continued: Whether the run starts from the follower of a run on the same data.
        reinforced: Whether it starts from a frontier agent. In the houses, reinforcement then
            improves an agent on the same data.
    """
    follower = preset(dataset, world, recipe, continued=continued)
    names = {item.name for item in dataclasses.fields(RecurrentAgentConfig)}
    own = {"agent", "teacher", "sampled_steps", "clear"}
    if world == "matterport" or not (continued and reinforced):
        own |= {"imitation_weight", "reinforcement"}
    values: dict[str, Any] = {name: getattr(follower, name) for name in names - own}
    clear = RepresentationConfig(
        **{
            item.name: getattr(follower.clear, item.name)
            for item in dataclasses.fields(RepresentationConfig)
        }
    )
    values["follower"] = dataclasses.replace(follower.follower, candidate_mlp=True)
    values |= {} if follower.dataset == "r2r" else _FRONTIER_PATHS
    if world != "matterport":
        values["target_temperature"] = 1.0 if follower.dataset == "r2r" else 0.1
    if not continued:
        values["cloning_iterations"] = follower.iterations // 15
    return FrontierTrainConfig(clear=clear, **values)


def frontier_defaults(
    dataset: Dataset, world: World, recipe: Recipe | None, flag: Callable[[str], str | None]
) -> FrontierTrainConfig:
    """Return the settings of a frontier agent without flags; see `follower_defaults`."""
    start = flag("start-from")
    reinforced = start is not None and agent_of(Path(start)) == "frontier"
    continued = continues(flag, dataset, world)
    return frontier_preset(dataset, world, recipe, continued, reinforced)
