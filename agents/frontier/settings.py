"""Settings of the training of a frontier agent, and their presets."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from clipnav.agents.envdrop.settings import (
    Recipe,
    RecurrentAgentConfig,
    continues,
    recurrent_preset,
)
from clipnav.agents.settings.networks import ExpertKind, FollowerConfig
from clipnav.agents.settings.reading import run_spec
from clipnav.envs.worlds import World
from clipnav.storage.errors import UserError
from clipnav.training.run_settings import read_presets
from clipnav.training.settings import check_counts, check_numbers


@dataclass(frozen=True)
class FrontierTrainConfig(RecurrentAgentConfig):
    """Settings of a frontier agent's training by DAgger, and by reinforcement (A2C).

    The agent samples a share of its decisions, with reinforcement all of them, and an expert labels
    all of them.
    """

    agent: str = "frontier"
    """Agent to train: a follower that chooses among all viewpoints that it has seen."""
    teacher: Literal["reference"] = "reference"
    """Path of the teacher: the annotated reference path."""
    sampled_steps: float = 0.75
    """Probability that a decision is sampled; otherwise it is the expert's."""
    cloning_iterations: int = 0
    """Number of iterations at the start in which the expert chooses all decisions."""
    expert: ExpertKind = "spl"
    """Expert that labels the decisions: the node on the shortest path to the goal (spl), or the
    one whose path agrees best with the reference path (ndtw)."""
    target_temperature: float = 0.0
    """Temperature of the targets, in the unit of the expert's costs (metres for spl, -log nDTW for
    ndtw); 0 makes the best node the only target."""
    max_decisions: int = 12
    """Maximum number of decisions of an episode in training."""
    metre_cost: float = 0.1
    """Cost per metre of the walk to a node, in the unit of the follower's logits."""
    follower: FollowerConfig = field(default_factory=lambda: FollowerConfig(candidate_mlp=True))

    def __post_init__(self) -> None:
        super().__post_init__()
        check_counts(self, ("max_decisions",))
        check_counts(self, ("cloning_iterations",), least=0)
        check_numbers(self, ("metre_cost", "target_temperature"))
        if not self.follower.candidate_mlp:
            raise UserError(
                "--agent frontier requires --follower.candidate-mlp: without it the score of stop "
                "is the same everywhere"
            )

    @property
    def only_clones(self) -> bool:
        """Whether the expert chooses all decisions; reinforcement samples all of them."""
        return not self.has_critic and self.cloning_iterations >= self.iterations

    def unused_options(self) -> dict[str, str]:
        """Return the settings without effect and the reasons, see `RunConfig.unused_options`."""
        unused = super().unused_options()
        if self.reinforcement.weight:
            names = ("sampled_steps", "cloning_iterations")
            unused |= dict.fromkeys(names, "with reinforcement, which samples every decision")
        if not self.imitation_weight:
            names = ("expert", "target_temperature")
            unused |= dict.fromkeys(names, "with --imitation-weight 0")
        return unused


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
    reinforced = start is not None and run_spec(Path(start)).name == "frontier"
    continued = continues(flag, dataset, world)
    return frontier_preset(dataset, world, recipe, continued, reinforced)
