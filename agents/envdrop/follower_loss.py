"""The loss of a follower on a batch of episodes."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.acting.rollout import ActionSource, UniformStream, rollout
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.envdrop.follower_agent import FollowerAgent
from clipnav.agents.envdrop.follower_network import FollowerNetwork
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.layers.critic import Critic
from clipnav.agents.layers.visual import VisualNoise
from clipnav.agents.learning.agent_learner import mixed_precision
from clipnav.agents.learning.objectives import (
    actor_critic_loss,
    agreement,
    contrastive_loss,
    imitation_loss,
)
from clipnav.agents.settings import Feedback
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.training import distributed

Figures = dict[str, float]


@dataclass(frozen=True)
class EpisodeBatch:
    """Episodes to walk in one iteration.

    Attributes:
        instr_ids: (B,) episodes.
        tokens: (B, L) instructions; those of the environment by default.
        noise: Feature dropout; newly drawn by default.
        partners: (B, L) other instructions of the same paths, for the contrastive loss.
    """

    instr_ids: list[str]
    rng: np.random.Generator
    tokens: np.ndarray | None = None
    noise: VisualNoise | None = None
    partners: np.ndarray | None = None


class FollowerLoss(FollowerNetwork):
    """A follower and, with reinforcement, its critic, with the loss of their training.

    A call walks a batch of episodes and returns the loss; a single call per batch allows the use of
    DistributedDataParallel. With a critic, even rows of the batch are for imitation and odd rows
    for reinforcement: the two minibatches of EnvDrop, walked together.
    """

    def __init__(self, follower: Follower, critic: Critic | None, config: TrainConfig) -> None:
        super().__init__(follower, critic)
        self._config = config

    @property
    def group(self) -> int:
        """Rows of a batch that must stay together: 2 with a critic, 1 without."""
        return 1 if self.critic is None else 2

    def forward(
        self,
        env: VlnVectorEnv,
        features: DeviceFeatures,
        batch: EpisodeBatch,
        imitation_weight: float,
    ) -> tuple[Tensor, Figures]:
        """Walk a batch and return the loss and the figures to log."""
        config = self._config
        source, imitated = self._action_source(batch)
        agent = FollowerAgent(
            self.follower,
            features,
            config.use_instructions,
            source,
            batch.tokens,
            batch.noise,
            batch.partners,
        )
        steps, look_ahead = config.max_training_steps, self.critic is not None
        with mixed_precision(self.follower, config):
            decisions = rollout(env, agent, batch.instr_ids, steps, look_ahead)
        chosen = np.flatnonzero(imitated[decisions.rows])
        index = torch.from_numpy(chosen).to(decisions.scores.device)
        scores, teacher = decisions.scores[index], decisions.teacher[index]
        loss = imitation_loss(scores, teacher, int(imitated.sum()))
        figures = {"imitation": loss.item(), "agreement": agreement(scores, teacher)}
        loss = imitation_weight * loss
        objects, more = self.grounding(env, batch.instr_ids, agent.places)
        loss, figures = loss + config.object_weight * objects, figures | more
        if decisions.contrast is not None:
            contrastive = contrastive_loss(decisions, imitated, config.clear.temperature)
            figures["contrastive"] = contrastive.item()
            loss = loss + config.clear.contrastive_weight * contrastive
        if self.critic is not None:
            a2c_loss, a2c_figures = actor_critic_loss(
                decisions, ~imitated, self.critic, config.reinforcement
            )
            loss = loss + config.reinforcement.weight * a2c_loss
            figures |= a2c_figures
        return loss, {"loss": loss.item(), **figures}

    def _action_source(self, batch: EpisodeBatch) -> tuple[ActionSource, np.ndarray]:
        """Return the source of the actions, and (B,) bool, true for rows of imitation."""
        count = len(batch.instr_ids)
        rows = np.arange(count)
        imitated = rows % 2 == 0 if self.critic is not None else np.ones(count, bool)
        teacher_forced = imitated & _teacher_forced_rows(
            self._config.feedback, np.cumsum(imitated) - 1
        )
        share = self._config.sampled_steps
        if teacher_forced.all() and not share:
            return ActionSource(teacher_forced), imitated
        rank, world_size = distributed.rank(), distributed.world_size()
        draws = UniformStream(batch.rng, count, rank, world_size, self.group)
        return ActionSource(teacher_forced, draws, share), imitated


def _teacher_forced_rows(feedback: Feedback, indices: np.ndarray) -> np.ndarray:
    """Return (B,) bool, true for imitation episodes, with indices (B,), that are teacher-forced."""
    if feedback == "mixed":
        return indices % 2 == 0
    return np.full(len(indices), feedback == "teacher")
