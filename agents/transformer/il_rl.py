"""Training in iterations of two minibatches: teacher forcing, and walks with sampled decisions."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.agents.acting.environments import reserve_text_states
from clipnav.agents.acting.rollout import UniformStream
from clipnav.agents.layers.critic import Critic
from clipnav.agents.layers.encoders import cropped, readable
from clipnav.agents.learning.agent_learner import EpisodeLearner, mixed_precision
from clipnav.agents.transformer.building import fit_features, start_from
from clipnav.agents.transformer.settings import MinibatchesConfig
from clipnav.agents.transformer.text import PretrainedTextEncoder, TransformerNetwork
from clipnav.envs.episodes import Episode
from clipnav.envs.navigation.drawn_paths import DrawnPaths
from clipnav.envs.navigation.references import ReferencePaths
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.training import distributed
from clipnav.training.batches import BucketedBatchOrder
from clipnav.training.optimisers import make_optimiser
from clipnav.training.streams import Stream

Figures = dict[str, float]


@dataclass(frozen=True)
class Minibatches:
    """Episodes of one iteration, as indices into those of the environment.

    Attributes:
        cloned: (B,) episodes with teacher forcing.
        sampled: (B',) episodes to walk with sampled decisions; may be empty.
        weight: Weight of teacher forcing; the settings have those of sampled walks.
    """

    cloned: np.ndarray
    sampled: np.ndarray
    draws: UniformStream
    weight: float


class MinibatchesLoss(nn.Module):
    """A network and the loss of its training.

    A call computes the loss of both minibatches of an iteration; a single call per iteration allows
    the use of DistributedDataParallel.

    Attributes:
        critic: Critic of reinforcement; None without it.
    """

    def __init__(self, model: TransformerNetwork, config: MinibatchesConfig) -> None:
        super().__init__()
        self.model = model
        self.critic = None
        self._config = config
        if config.reinforcement.weight:
            rate = config.critic_dropout
            rate = config.network.dropout if rate is None else rate
            self.critic = Critic(self.critic_width, rate).to(config.device)

    @property
    @abstractmethod
    def critic_width(self) -> int:
        """Width of the critic's input."""

    @abstractmethod
    def clone(
        self, env: VlnVectorEnv, features: Any, references: ReferencePaths, episodes: np.ndarray
    ) -> tuple[Tensor, Figures]:
        """Return the loss of teacher forcing per episode, and the figures to log."""

    @abstractmethod
    def sample(
        self, env: VlnVectorEnv, features: Any, references: ReferencePaths, batch: Minibatches
    ) -> tuple[Tensor, Figures]:
        """Walk episodes with sampled decisions; return the weighted losses and figures to log."""

    def forward(
        self, env: VlnVectorEnv, features: Any, references: ReferencePaths, batch: Minibatches
    ) -> tuple[Tensor, Figures]:
        """Return the loss of a batch and the figures to log."""
        losses, figures = [], Figures()
        with mixed_precision(self.model, self._config):
            if batch.cloned.size:
                loss, cloning = self.clone(env, features, references, batch.cloned)
                losses.append(batch.weight * loss)
                figures |= cloning
            if batch.sampled.size:
                loss, sampled = self.sample(env, features, references, batch)
                losses.append(loss)
                figures |= sampled
        total = torch.stack(losses).sum()
        return total, {"loss": total.item(), **figures}

    def instructions(self, env: VlnVectorEnv, episodes: np.ndarray) -> Tensor:
        """Return the tokens (B, L) of episodes that the agent reads."""
        return cropped(readable(env.split.tokens[episodes], self._config.use_instructions))


class MinibatchesLearner(EpisodeLearner):
    """An agent, and the episodes to learn from."""

    config: MinibatchesConfig
    network: MinibatchesLoss
    # Cloning leaves the critic out, and an ablation of the network parts of it.
    skips_weights = True

    def prepare(self, network: TransformerNetwork) -> MinibatchesLoss:
        """Initialise the network of a new run; return it with its loss."""
        self.model = network
        world, episodes = self.env.nav_world, self.env.episodes
        self.references = ReferencePaths.of(world, episodes)
        self._drawn = None
        if self.config.drawn_paths != "none":
            players = self.config.drawn_paths == "ends-and-players"
            self._drawn = DrawnPaths(world, episodes, self.references, players)
        reserve_text_states(network.text, [self.env, *self.evaluation_envs.values()])
        if self.config.resume is None:  # otherwise the trainer restores all of it
            self._initialise()
        return self.make_loss()

    def make_optimiser(self) -> torch.optim.Optimizer:
        """Return the optimiser, with a rate of its own for a tuned text model."""
        text, rate = self.model.text, self.config.language_learning_rate
        is_tuned = isinstance(text, PretrainedTextEncoder) and text.frozen is None
        return make_optimiser(self.network, self.config.optimiser, text if is_tuned else None, rate)

    def make_order(self, rows: int, group: int) -> BucketedBatchOrder:
        """Return the order of the groups of instructions of a path."""
        config = self.config
        self._groups = _episode_groups(self.env.episodes, config.instructions_per_path)
        groups = max(1, rows // config.instructions_per_path)
        return BucketedBatchOrder(
            [str(index) for index in range(len(self._groups))],
            [len(self.env.episodes[group[0]].instruction) for group in self._groups],
            2 * groups * distributed.world_size(),
            config.bucket,
            config.seed,
            2 * distributed.world_size(),
        )

    def _initialise(self) -> int:
        """Fit the scale of the features of a new run, and copy the weights that it starts from."""
        config = self.config
        fit_features(self.model, self.env)
        if config.start_from is None:
            return 0
        shared = start_from(config.start_from, config, self.model, self.env, self.make_network)
        words = len(self.env.tokenizer)
        if distributed.rank() == 0:
            print(f"{shared} of {words} words have an embedding in {config.start_from}")
        return words - shared

    @abstractmethod
    def make_loss(self) -> MinibatchesLoss:
        """Return the network with its loss."""

    def backward(self, iteration: int) -> dict[str, float]:
        """Add the gradient of two minibatches and return the figures to log."""
        batch, references = self.batch(iteration), self.references
        if self._drawn is not None:
            references = self._drawn.draw(Stream.DRAWN_PATHS.rng(self.config.seed, iteration))
        loss, figures = self._loss(self.env, self.features, references, batch)
        loss.backward()
        return figures

    def batch(self, iteration: int) -> Minibatches:
        """Return the episodes of an iteration (from 0) that belong to this rank."""
        config, rank, world_size = self.config, distributed.rank(), distributed.world_size()
        pairs = np.array(self._order.batch(iteration)).astype(int).reshape(-1, 2)
        halves = [
            np.concatenate([self._groups[group] for group in half])
            for half in pairs[rank::world_size].T
        ]
        rng = Stream.MAP_DECISIONS.rng(config.seed, iteration)
        draws = UniformStream(rng, len(halves[1]), rank, world_size)
        weight = config.teacher_weight
        if iteration < config.cloning_iterations or not config.walks:
            weight = (weight + config.sampled_weight) or 1.0
            return Minibatches(np.concatenate(halves), halves[1][:0], draws, weight)
        cloned = halves[0] if weight else halves[0][:0]
        return Minibatches(cloned, halves[1], draws, weight)


def _episode_groups(episodes: Sequence[Episode], size: int) -> list[np.ndarray]:
    """Group the indices of episodes with the same path, at most `size` in a group."""
    paths: dict[tuple[str, tuple[str, ...], float], list[int]] = {}
    for index, episode in enumerate(episodes):
        paths.setdefault((episode.scan, episode.path, episode.heading), []).append(index)
    return [
        np.array(indices[start : start + size])
        for indices in paths.values()
        for start in range(0, len(indices), size)
    ]
