"""Training of a frontier agent by imitation (DAgger) and reinforcement."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.acting.rollout import UniformStream, sample_logits
from clipnav.agents.envdrop.action_scores import ActionScorer
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.envdrop.learner import FollowerNetwork, RecurrentLearner, load_follower_network
from clipnav.agents.frontier.agent import FrontierAgent, FrontierScoring, Options
from clipnav.agents.frontier.settings import FrontierTrainConfig
from clipnav.agents.learning.agent_learner import mixed_precision
from clipnav.agents.learning.objectives import SampledChoices, walk_loss
from clipnav.agents.maps.experts import Expert, mix_in_expert
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.maps.route_walker import Segment
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.references import ReferencePaths
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.training import distributed
from clipnav.training.streams import Stream

Figures = dict[str, float]


class FrontierLoss(FollowerNetwork):
    """A follower and, with reinforcement, its critic, with the loss of a frontier agent.

    A call walks a batch of episodes and returns the loss; a single call per batch allows the use of
    DistributedDataParallel. With reinforcement, both losses are those of the same walks.
    """

    config: FrontierTrainConfig

    def forward(
        self,
        env: VlnVectorEnv,
        features: DeviceFeatures,
        geometry: MapGeometry,
        references: ReferencePaths,
        batch: tuple[Sequence[int], UniformStream, float],
    ) -> tuple[Tensor, Figures]:
        """Walk a batch; return the loss per episode and the figures to log.

        The figures contain the share of decisions in which the follower agrees with the expert, and
        the number of decisions of an episode.

        Args:
            batch: Indices of the episodes, random numbers of their decisions, and the probability
                that a decision is sampled; with reinforcement, every decision is.
        """
        config, (episodes, draws, sampled) = self.config, batch
        nodes, sizes = references.nodes[episodes], references.sizes[episodes]
        reinforced = self.critic is not None
        agent = FrontierAgent(
            ActionScorer(self.follower, features, env.nav_world),
            geometry,
            env.max_episode_steps,
            _trained_scoring(config),
            SampledDecisions(draws, 1.0 if reinforced else sampled, corrected=not reinforced),
            Expert(
                env.nav_world,
                nodes.astype(np.int64),
                sizes,
                config.expert,
                goals=references.goals[episodes],
            ),
            config.use_instructions,
        )
        losses, walk, places, agreed, count = [], [], [], 0, 0
        names = [env.episodes[episode].instr_id for episode in episodes]
        with mixed_precision(self.follower, config):
            for segment in islice(agent.segments(env, names), config.max_decisions):
                scores, labels = agent.options.scores, agent.options.labels
                assert labels is not None
                shares = target_shares(agent.options, config.target_temperature)
                losses.append(soft_cross_entropy(scores, shares.to(scores.device)))
                agreed += int((scores.argmax(1).cpu().numpy() == labels).sum())
                count += len(labels)
                places.append(agent.place)
                if reinforced:
                    walk.append(_sampled_choices(segment, agent.options))
        imitation = torch.stack(losses).sum() / len(names)
        loss = config.imitation_weight * imitation
        figures = {
            "imitation": imitation.item(),
            "agreement": agreed / count,
            "decisions": count / len(names),
        }
        objects, more = self.grounding(env, names, places)
        loss, figures = loss + config.object_weight * objects, figures | more
        if self.critic is not None:
            reinforcement, more = walk_loss(walk, self.critic, config.reinforcement)
            loss = loss + config.reinforcement.weight * reinforcement
            figures |= more
        return loss, {"loss": loss.item(), **figures}


def _sampled_choices(segment: Segment, options: Options) -> SampledChoices:
    assert options.hidden is not None
    rows, targets, rewards, _ = segment
    done = np.ones(len(rows), bool)  # also where the walk has ended the episode by its length
    return SampledChoices(rows, options.scores, options.hidden, targets, done, rewards)


class SampledDecisions:
    """Policy of walks in training: sampled nodes, or those of the expert."""

    def __init__(self, draws: UniformStream, share: float, corrected: bool = True) -> None:
        self._draws, self._share, self._corrected = draws, share, corrected

    def __call__(self, rows: np.ndarray, options: Options) -> np.ndarray:
        """Choose the slots (R,) of episodes (R,)."""
        labels = options.labels
        assert labels is not None
        chosen = sample_logits(options.scores, self._draws.next(rows))
        guided = self._draws.next(rows) >= self._share
        stops = options.visited[np.arange(len(rows)), chosen] & self._corrected
        return mix_in_expert(chosen, labels, guided | stops)


def target_shares(options: Options, temperature: float) -> Tensor:
    """Return the (R, S) float64 shares of nodes in the target: they add up to 1, or all are 0.

    They are 0 if all costs are infinite.

    Args:
        temperature: Temperature of the softmax over the negative costs; 0 gives the label all of
            it.
    """
    costs, labels = options.costs, options.labels
    assert costs is not None
    assert labels is not None
    if not temperature:
        return torch.from_numpy(np.arange(costs.shape[1]) == labels[:, None]).double()
    # nan where all costs are infinite.
    return torch.softmax(torch.from_numpy(-costs / temperature), 1).nan_to_num(0.0)


def soft_cross_entropy(scores: Tensor, shares: Tensor) -> Tensor:
    """Return the summed cross-entropy of scores (R, S), some minus infinity, and shares (R, S)."""
    logs = torch.log_softmax(scores, 1).masked_fill(shares == 0, 0.0)
    return -(shares * logs).sum()


def _trained_scoring(config: FrontierTrainConfig) -> FrontierScoring:
    """Return the scoring of a frontier agent that is trained with these settings."""
    return FrontierScoring(config.metre_cost, normalised=False)


class FrontierLearner(RecurrentLearner):
    """A follower, and the episodes to learn from."""

    loss = FrontierLoss
    config: FrontierTrainConfig

    def __init__(self, config: FrontierTrainConfig) -> None:
        super().__init__(config, config.batch_size)
        self._geometry = MapGeometry.of(self.env.nav_world)
        self._references = ReferencePaths.of(self.env.nav_world, self.env.episodes)
        self._indices = {episode.instr_id: k for k, episode in enumerate(self.env.episodes)}
        self._geometries = {
            split: MapGeometry.of(env.nav_world) for split, env in self.evaluation_envs.items()
        }

    def backward(self, iteration: int) -> dict[str, float]:
        """Walk a batch, add its gradient and return the figures to log."""
        config, rank, world_size = self.config, distributed.rank(), distributed.world_size()
        names = self._order.batch(iteration)[rank::world_size]
        episodes = [self._indices[name] for name in names]
        rng = Stream.FRONTIER_DECISIONS.rng(config.seed, iteration)
        draws = UniformStream(rng, len(names), rank, world_size)
        share = 0.0 if iteration < config.cloning_iterations else config.sampled_steps
        batch = episodes, draws, share
        loss, figures = self._loss(self.env, self.features, self._geometry, self._references, batch)
        loss.backward()
        return figures

    def agent(self, split: str) -> FrontierAgent:
        """Return the agent on a split."""
        env, geometry = self.evaluation_envs[split], self._geometries[split]
        return _trained_frontier_agent(self.config, self.follower, env, geometry)


def _trained_frontier_agent(
    config: FrontierTrainConfig,
    follower: Follower,
    env: VlnVectorEnv,
    geometry: MapGeometry | None = None,
) -> FrontierAgent:
    """Return the agent of a run, which walks to the nodes with the highest scores."""
    features = DeviceFeatures(env, config.device)
    return FrontierAgent(
        ActionScorer(follower, features, env.nav_world),
        geometry or MapGeometry.of(env.nav_world),
        env.max_episode_steps,
        _trained_scoring(config),
        use_instructions=config.use_instructions,
    )


def load_frontier_agent(
    run: Path, split: str, config: FrontierTrainConfig
) -> tuple[VlnVectorEnv, FrontierAgent]:
    """Build the environment of a split and load the agent of a run; see `clipnav.load_run`."""
    env, network = load_follower_network(run, split, config)
    return env, _trained_frontier_agent(config, network.follower, env)
