"""Settings of the training of a frontier agent."""

from dataclasses import dataclass, field
from typing import Literal

from clipnav.agents.envdrop.settings import RecurrentAgentConfig
from clipnav.agents.settings.losses import ExpertKind
from clipnav.agents.settings.networks import FollowerConfig
from clipnav.storage.errors import UserError
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
