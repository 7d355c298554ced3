"""One lesson: a follower walks a batch of episodes and is told what to improve."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from agents.acting.environments import make_follower
from agents.acting.follower_agent import ActionSource, Decisions, Draws, FollowerAgent, rollout
from agents.configs import Feedback, ReinforcementConfig, TrainConfig
from agents.envdrop.critic import Critic
from agents.envdrop.follower import Follower
from agents.envdrop.visual import VisualNoise
from agents.learning.objectives import (
    actor_critic,
    agreement,
    discounted_returns,
    imitation_loss,
    reinforcement_loss,
)
from agents.learning.training import large_products
from envs.navigation.device_features import DeviceFeatures
from envs.navigation.vector_env import VlnVectorEnv
from envs.tokenizers import Tokenizer
from training import distributed

Figures = dict[str, float]


@dataclass(frozen=True)
class Batch:
    """Episodes of a lesson.

    Attributes:
        instr_ids: (B,) episodes.
        rng: Source of sampled actions.
        tokens: (B, L) instructions in place of the environment's.
        noise: Feature dropout in place of a fresh one.
    """

    instr_ids: list[str]
    rng: np.random.Generator
    tokens: np.ndarray | None = None
    noise: VisualNoise | None = None


class Lesson(nn.Module):
    """A follower and, where rewards count, its critic.

    Called with a batch of episodes it walks them and gives the loss; being one call, it can be
    wrapped by DistributedDataParallel. With a critic, even rows of the batch are for imitation and
    odd ones for reinforcement: two minibatches, as in EnvDrop, that walk together.

    Args:
        follower: What learns to walk.
        critic: What learns to expect rewards; none for imitation alone.
        config: Settings of the run.
    """

    def __init__(self, follower: Follower, critic: Critic | None, config: TrainConfig) -> None:
        super().__init__()
        self.follower = follower
        self.critic = critic
        self._config = config

    @property
    def group(self) -> int:
        """Rows of a batch that belong together: a pair with a critic, else each by itself."""
        return 1 if self.critic is None else 2

    @property
    def architecture(self) -> dict[str, str]:
        """What must be alike for weights to fit."""
        return {**self.follower.architecture, "critic": "no" if self.critic is None else "yes"}

    def forward(
        self, env: VlnVectorEnv, features: DeviceFeatures, batch: Batch, imitation_weight: float
    ) -> tuple[Tensor, Figures]:
        """Walk a batch.

        Args:
            env: Environment without autoreset, with a row for each episode.
            features: Of the environment.
            batch: The episodes.
            imitation_weight: Weight of imitation; that of reinforcement is in the settings.

        Returns:
            The loss, and what to log.
        """
        config = self._config
        way, imitated = self._way(batch)
        agent = FollowerAgent(self.follower, features, config.reads, way, batch.tokens, batch.noise)
        steps, look_ahead = config.max_training_steps, self.critic is not None
        with large_products(self.follower, config):
            decisions = rollout(env, agent, batch.instr_ids, steps, look_ahead)
        shown = np.flatnonzero(imitated[decisions.rows])
        index = torch.from_numpy(shown).to(decisions.scores.device)
        scores, teacher = decisions.scores[index], decisions.teacher[index]
        loss = imitation_loss(scores, teacher, int(imitated.sum()))
        figures = {"imitation": loss.item(), "agreement": agreement(scores, teacher)}
        loss = imitation_weight * loss
        if self.critic is not None:
            gained, more = reinforcement(decisions, ~imitated, self.critic, config.reinforcement)
            loss = loss + config.reinforcement.weight * gained
            figures |= more
        return loss, {"loss": loss.item(), **figures}

    def _way(self, batch: Batch) -> tuple[ActionSource, np.ndarray]:
        """Who chooses the way, and (B,) bool which rows imitate."""
        count = len(batch.instr_ids)
        rows = np.arange(count)
        imitated = rows % 2 == 0 if self.critic is not None else np.ones(count, bool)
        teacher_forced = imitated & teacher_forced_rows(
            self._config.feedback, np.cumsum(imitated) - 1
        )
        share = self._config.sampled_steps
        if teacher_forced.all() and not share:
            return ActionSource(teacher_forced), imitated
        rank, processes = distributed.rank(), distributed.world_size()
        return ActionSource(
            teacher_forced, Draws(batch.rng, count, rank, processes, self.group), share
        ), imitated


def make_lesson(
    config: TrainConfig, env: VlnVectorEnv, tokenizer: Tokenizer | None = None
) -> Lesson:
    """Untrained follower, as `make_follower` makes it, and its critic if rewards count."""
    follower, critic, settings = make_follower(config, env, tokenizer), None, config.follower
    if config.reinforcement.weight:
        critic = Critic(settings.hidden_size, settings.dropout).to(config.device)
    return Lesson(follower, critic, config)


def teacher_forced_rows(feedback: Feedback, numbers: np.ndarray) -> np.ndarray:
    """(B,) bool: which imitation episodes, numbered (B,), the teacher leads."""
    if feedback == "mixed":
        return numbers % 2 == 0
    return np.full(len(numbers), feedback == "teacher")


def reinforcement(
    decisions: Decisions, wanted: np.ndarray, critic: Critic, config: ReinforcementConfig
) -> tuple[Tensor, Figures]:
    """Actor-critic loss of some episodes of a batch.

    Args:
        decisions: Of the batch.
        wanted: (B,) bool, the episodes.
        critic: Judges them.
        config: Discount and weights.

    Returns:
        The loss per live step of all processes, times their number (their gradients are averaged),
        and what to log.
    """
    device = decisions.scores.device
    with torch.no_grad():
        last = critic(decisions.cut_hidden).double().cpu().numpy()
    returns = discounted_returns(decisions, config.discount, last)
    chosen = np.flatnonzero(wanted[decisions.rows])
    index = torch.from_numpy(chosen).to(device)
    terms = actor_critic(
        decisions.scores[index],
        decisions.actions[index],
        critic(decisions.hidden[index]),
        torch.from_numpy(returns[chosen]).float().to(device),
    )
    steps = distributed.total(len(chosen), device) / distributed.world_size()
    loss = reinforcement_loss(terms, steps, config)
    return loss, {
        "reinforcement": loss.item(),
        "value_error": terms.error.item() / len(chosen),
        "entropy": terms.entropy.item() / len(chosen),
        "reward": float(decisions.rewards[chosen].sum() / wanted.sum()),
    }
