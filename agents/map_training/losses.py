"""The loss of a map agent on minibatches of episodes: behaviour cloning and DAgger."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.acting.decisions import Draws, sample
from agents.acting.follower_agent import empty_instructions
from agents.envdrop.critic import Critic
from agents.learning.agent_trainer import mixed_precision
from agents.map_training.reinforcement import walk_loss
from agents.map_transformer.agent import MapAgent, MapWalk
from agents.map_transformer.experts import NO_TARGET, Expert
from agents.map_transformer.known_maps import KnownMaps
from agents.map_transformer.memory import WorldFeatures
from agents.map_transformer.model import MapTransformer, NodeInputs, Scores, ViewInputs
from agents.map_transformer.paths import (
    KnownPaths,
    along_edges,
    known_paths,
    path_views,
    select_states,
    without_padding,
)
from agents.map_transformer.states import MapState
from agents.settings import MapTrainConfig
from envs.navigation.references import ReferencePaths
from envs.navigation.vector_env import VlnVectorEnv

Figures = dict[str, float]

_LEAST_STATES = 32  # that are scored together; fewer make the matrix products slow


@dataclass(frozen=True)
class MapBatch:
    """Episodes of one iteration, as indices into those of the environment.

    Attributes:
        cloned: (B,) episodes with teacher forcing.
        sampled: (B',) episodes to walk with sampled decisions; may be empty.
        draws: Random numbers of the decisions.
        weight: Weight of teacher forcing; the settings have those of sampled walks.
    """

    cloned: np.ndarray
    sampled: np.ndarray
    draws: Draws
    weight: float


class PathBatch(NamedTuple):
    """All states of the reference paths of B episodes.

    Episodes with the same path share its encoded panoramas.

    Attributes:
        paths: States of the U different paths.
        states: (R,) state of `paths` of each of the R states of the episodes.
        episodes: (R,) episode, 0..B-1, of each.
        targets: (R,) map tokens of the reference path; `NO_TARGET` where the settings forbid the
            second visit of a viewpoint.
    """

    paths: KnownPaths
    states: np.ndarray
    episodes: np.ndarray
    targets: np.ndarray

    def inputs(
        self,
        model: MapTransformer,
        features: WorldFeatures,
        chosen: np.ndarray | None = None,
        hidden: np.ndarray | None = None,
    ) -> tuple[NodeInputs, ViewInputs]:
        """Encode the panoramas, with one feature dropout mask per path.

        Args:
            model: Network.
            features: Features of the world.
            chosen: Indices of the states to return; all R by default.
            hidden: (P, V) bool, views of the states of `paths` whose features are zero.
        """
        inputs = self._encode(model, features, hidden)
        states = self.states if chosen is None else self.states[chosen]
        return select_states(inputs, torch.from_numpy(states).to(inputs[0].features.device))

    def parts(
        self, model: MapTransformer, features: WorldFeatures
    ) -> Iterator[tuple[np.ndarray, tuple[NodeInputs, ViewInputs]]]:
        """Yield the indices of states with maps of similar size, and the inputs of these states.

        The maps grow along a path, so that half of the map tokens of all states together would be
        padding. The panoramas are encoded once, see `inputs`.
        """
        inputs = self._encode(model, features)
        state = self.paths.state
        sizes = state.tokens.mask.sum(1)[self.states]
        candidates = (state.candidates >= 0).sum(1)[self.states]
        order = np.argsort(sizes, kind="stable")
        for part in np.array_split(order, max(1, len(order) // _LEAST_STATES)):
            index = torch.from_numpy(self.states[part]).to(inputs[0].features.device)
            chosen = select_states(inputs, index)
            yield part, without_padding(chosen, int(sizes[part].max()), int(candidates[part].max()))

    def _encode(
        self, model: MapTransformer, features: WorldFeatures, hidden: np.ndarray | None = None
    ) -> tuple[NodeInputs, ViewInputs]:
        dropout = model.panorama.episode_dropout(int(self.paths.state.rows.max()) + 1)
        return self.paths.encode(model, features, dropout=dropout, hidden=hidden)

    def last(self) -> np.ndarray:
        """Return the (B,) indices of the last states, in the order of the episodes."""
        order = np.lexsort((self.paths.steps[self.states], self.episodes))
        episodes = self.episodes[order]
        return order[np.append(episodes[1:] != episodes[:-1], True)]


def path_batch(
    features: WorldFeatures, references: ReferencePaths, episodes: np.ndarray, revisits: bool
) -> PathBatch:
    """Describe the reference paths of episodes.

    A path is followed by its steps, also if it passes its goal early. Shortest paths are inserted
    between viewpoints that are not neighbours.

    Args:
        features: Features of the world.
        references: Reference paths of all episodes.
        episodes: (B,) episodes.
        revisits: Whether visited viewpoints can be chosen.
    """
    nodes = references.nodes[episodes].astype(np.int64)
    sizes, views = references.sizes[episodes], references.start_views[episodes]
    nodes[np.arange(nodes.shape[1]) >= sizes[:, None]] = -1
    nodes = nodes[:, : int(sizes.max())]
    keys = np.column_stack([nodes, views])
    unique, inverse = np.unique(keys, axis=0, return_inverse=True)
    nodes, views = unique[:, :-1], unique[:, -1]
    geometry = features.geometry
    nodes = along_edges(geometry.world, nodes)
    paths = known_paths(geometry, nodes, path_views(geometry.world, nodes, views), revisits)
    state, episode = np.nonzero(paths.state.rows[:, None] == inverse.reshape(-1))
    targets = paths.targets[state]
    targets = np.where(paths.state.forbidden[state, targets], NO_TARGET, targets)
    return PathBatch(paths, state, episode, targets)


class MapLoss(nn.Module):
    """A map transformer and the loss of its training.

    A call computes the loss of both minibatches of an iteration; a single call per iteration allows
    the use of DistributedDataParallel.

    Args:
        model: Network to train.
        config: Settings of the run.

    Attributes:
        critic: Critic of reinforcement; None without it.
    """

    def __init__(self, model: MapTransformer, config: MapTrainConfig) -> None:
        super().__init__()
        self.model = model
        self.critic = None
        if config.reinforcement.weight:
            network = config.network
            self.critic = Critic(2 * network.hidden_size, network.dropout).to(config.device)
        self._config = config

    def forward(
        self,
        env: VlnVectorEnv,
        features: WorldFeatures,
        references: ReferencePaths,
        batch: MapBatch,
    ) -> tuple[Tensor, Figures]:
        """Return the loss of a batch and the figures to log.

        Args:
            env: Environment of the training split, with a row for each sampled episode.
            features: Features of its world.
            references: Reference paths of its episodes.
            batch: Episodes.
        """
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
        if self.critic is not None and not batch.sampled.size:
            # DistributedDataParallel requires a gradient of every weight.
            losses += [0.0 * weight.sum() for weight in self.critic.parameters()]
        total = torch.stack(losses).sum()
        return total, {"loss": total.item(), **figures}

    def clone(
        self,
        env: VlnVectorEnv,
        features: WorldFeatures,
        references: ReferencePaths,
        episodes: np.ndarray,
    ) -> tuple[Tensor, Figures]:
        """Return the loss of teacher forcing per episode, and the figures to log.

        The decisions of all paths are scored together, in parts by the size of the map.
        """
        model = self.model
        paths = path_batch(features, references, episodes, model.config.revisits)
        device = next(model.parameters()).device
        tokens = env.split.tokens[episodes]
        if not self._config.reads_instructions:
            tokens = empty_instructions(tokens)
        text = model.read(cropped(tokens).to(device))
        losses, agreed = [], 0.0
        for part, inputs in paths.parts(model, features):
            owners = torch.from_numpy(paths.episodes[part]).to(device)
            targets = torch.from_numpy(paths.targets[part]).to(device)
            scores = model.score(text.rows(owners), *inputs)
            losses.append(decision_loss(scores.decision, targets))
            agreed += agreement_share(scores.decision, targets) * len(part)
        loss = torch.stack(losses).sum() / len(episodes)
        return loss, {"cloning": loss.item(), "agreement": agreed / len(paths.states)}

    def sample(
        self,
        env: VlnVectorEnv,
        features: WorldFeatures,
        references: ReferencePaths,
        batch: MapBatch,
    ) -> tuple[Tensor, Figures]:
        """Walk episodes with sampled decisions; return the weighted losses and figures to log.

        The loss of DAgger is per episode. The figures contain the share of decisions in which the
        network agrees with the expert, and the number of decisions of an episode.
        """
        config, episodes = self._config, batch.sampled
        nodes, sizes = references.nodes[episodes], references.sizes[episodes]
        world = features.geometry.world
        revisits = config.network.revisits
        expert = Expert(world, nodes.astype(np.int64), sizes, config.expert, revisits)

        def policy(maps: KnownMaps, state: MapState, scores: Scores) -> np.ndarray:
            probabilities = torch.softmax(scores.decision.detach().float(), 1).cpu().numpy()
            chosen = sample(probabilities, batch.draws.next(state.rows))
            if config.sampled_steps == 1:
                return chosen
            labels = expert.targets(maps, state.rows, state.tokens)
            guided = batch.draws.next(state.rows) >= config.sampled_steps
            return np.where(guided & (labels != NO_TARGET), labels, chosen)

        agent = MapAgent(
            self.model,
            features,
            config.max_decisions,
            policy,
            stops_at_best=False,
            expert=expert,
            reads_instructions=config.reads_instructions,
        )
        walk = agent.walk(env, [env.episodes[episode].instr_id for episode in episodes])
        return self._walk_losses(walk, len(episodes))

    def _walk_losses(self, walk: MapWalk, episodes: int) -> tuple[Tensor, Figures]:
        """Return the weighted losses of sampled walks, and the figures to log."""
        config = self._config
        losses, agreed, count = [], 0.0, 0
        for decision in walk.decisions:
            assert decision.labels is not None
            targets = torch.from_numpy(decision.labels).to(decision.scores.decision.device)
            losses.append(decision_loss(decision.scores.decision, targets))
            agreed += agreement_share(decision.scores.decision, targets) * len(targets)
            count += len(targets)
        loss = torch.stack(losses).sum() / episodes
        figures = {
            "sampled": loss.item(),
            "sampled_agreement": agreed / count,
            "decisions": count / episodes,
        }
        loss = config.sampled_weight * loss
        if self.critic is not None:
            reinforcement, more = walk_loss(walk, self.critic, config.reinforcement)
            loss = loss + config.reinforcement.weight * reinforcement
            figures |= more
        return loss, figures


def cropped(tokens: np.ndarray) -> Tensor:
    """Return token ids (B, L) as a tensor without columns of padding."""
    length = int((tokens != 0).sum(1).max())
    return torch.from_numpy(np.ascontiguousarray(tokens[:, :length])).long()


def decision_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the summed cross-entropy of scores (R, N), without the states that have no target."""
    return functional.cross_entropy(
        scores.float(), targets, reduction="sum", ignore_index=NO_TARGET
    )


def agreement_share(scores: Tensor, targets: Tensor) -> float:
    """Return the share of states whose highest score is that of the target."""
    return (scores.detach().argmax(1) == targets).float().mean().item()
