"""Losses of map agents, and their learner."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clipnav.agents.acting.rollout import sample_logits
from clipnav.agents.duet.agent import (
    MapAgent,
    MapWalk,
    greedy_agent,
    make_map_transformer,
    map_features,
)
from clipnav.agents.duet.memory import PanoramaMemory, WorldFeatures, encode_panoramas
from clipnav.agents.duet.model import MapTransformer, NodeInputs, Scores, ViewInputs
from clipnav.agents.duet.objects import target_tokens
from clipnav.agents.duet.settings import MapTrainConfig
from clipnav.agents.duet.states import MapState, map_state, stack_states
from clipnav.agents.learning.object_targets import ObjectTargets
from clipnav.agents.learning.objectives import SampledChoices, walk_loss
from clipnav.agents.maps.experts import NO_TARGET, STOP_TOKEN, Expert, mix_in_expert, path_targets
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.maps.topological_maps import TopologicalMaps
from clipnav.agents.transformer.il_rl import (
    Figures,
    Minibatches,
    MinibatchesLearner,
    MinibatchesLoss,
)
from clipnav.envs.graphs.nav_world import route_moves
from clipnav.envs.navigation.references import ReferencePaths, ReferenceWalks
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.errors import UserError

_WHOLE_PATHS = 0.2  # share of pre-training samples at the end of their path
_LEAST_STATES = 32  # that are scored together; fewer make the matrix products slow


class KnownPaths(NamedTuple):
    """The P states of B known paths, step after step: state p has panorama p.

    Attributes:
        state: Input of the network; `state.rows` are the paths.
        targets: (P,) map tokens of the next viewpoints; 0, [stop], at the end of a path.
        local_targets: (P,) the same as an index into [stop] and the candidates.
        steps: (P,) step of each state, from 0.
    """

    state: MapState
    targets: np.ndarray
    local_targets: np.ndarray
    steps: np.ndarray

    def encode(
        self,
        model: MapTransformer,
        features: WorldFeatures,
        dropout: Tensor | None = None,
        hidden: np.ndarray | None = None,
    ) -> tuple[NodeInputs, ViewInputs]:
        """Encode the panoramas and return the inputs of both branches.

        Args:
            dropout: (B, D) multipliers of the features of each path, see
                `FeatureInput.episode_dropout`.
            hidden: (P, V) bool, views whose features are zero.
        """
        longest = int(self.steps.max()) + 1
        if longest >= model.config.max_steps:
            raise UserError(
                f"a path has {longest} steps, but --network.max-steps is "
                f"{model.config.max_steps}; give a larger table of steps"
            )
        memory = PanoramaMemory()
        if dropout is not None:
            dropout = dropout[torch.from_numpy(self.state.rows).to(dropout.device)]
        nodes, views = self.state.viewpoints, self.state.views
        index = encode_panoramas(model, features, memory, nodes, views, dropout, hidden)
        return memory.inputs(self.state, index)


def _select_states(
    inputs: tuple[NodeInputs, ViewInputs], index: Tensor
) -> tuple[NodeInputs, ViewInputs]:
    """Return the inputs of both branches for the states at an index (R,), which may repeat."""
    nodes, views = inputs
    return (
        NodeInputs(*(part.index_select(0, index) for part in nodes)),
        views._replace(
            **{
                name: part.index_select(0, index)
                for name, part in views._asdict().items()
                if part is not None
            }
        ),
    )


def without_padding(
    inputs: tuple[NodeInputs, ViewInputs], tokens: int, candidates: int, leading: int
) -> tuple[NodeInputs, ViewInputs]:
    """Return the inputs of both branches with the first tokens only."""
    nodes, views = inputs
    cut = NodeInputs(*(part[:, :tokens] for part in nodes))
    return (
        cut._replace(distances=cut.distances[:, :, :tokens]),
        views._replace(
            candidates=views.candidates[:, :candidates],
            fusion=views.fusion[:, :tokens, : candidates + 1],
            objects=None if views.objects is None else views.objects[:, :leading],
        ),
    )


def known_paths(
    geometry: MapGeometry, nodes: np.ndarray, views: np.ndarray, revisits: bool = False
) -> KnownPaths:
    """Describe all states of B paths.

    Args:
        nodes: (B, T) nodes of the paths, padded with -1; consecutive nodes are neighbours.
        views: (B, T) views that the agents face, see `path_views`.
    """
    maps = TopologicalMaps(geometry, len(nodes))
    panoramas = np.full((len(nodes), int(geometry.world.locals.max()) + 2), -1)
    following = np.column_stack([nodes[:, 1:], np.full(len(nodes), -1)])
    states, targets, local_targets, count = [], [], [], 0
    for step in range(nodes.shape[1]):
        rows = np.flatnonzero(nodes[:, step] >= 0)
        maps.visit(rows, nodes[rows, step])
        panoramas[rows, maps.current[rows]] = count + np.arange(len(rows))
        state = map_state(maps, panoramas, rows, views[rows, step], revisits)
        states.append(state)
        ahead = following[rows, step]
        targets.append(path_targets(maps, rows, state.tokens, ahead))
        moves = route_moves(geometry.world, nodes[rows, step], ahead[:, None])[:, 0]
        local_targets.append(np.where(ahead < 0, 0, moves))
        count += len(rows)
    return KnownPaths(
        stack_states(states),
        np.concatenate(targets),
        np.concatenate(local_targets),
        np.repeat(np.arange(len(states)), [len(state.rows) for state in states]),
    )


class PathBatch(NamedTuple):
    """All states of the reference paths of B episodes.

    Episodes with the same path share its encoded panoramas.

    Attributes:
        states: (R,) state of `paths` of each of the R states of the episodes.
        episodes: (R,) episode, 0..B-1, of each.
        targets: (R,) map tokens of the reference path; `NO_TARGET` where the settings forbid the
            second visit of a viewpoint.
    """

    paths: KnownPaths
    states: np.ndarray
    episodes: np.ndarray
    targets: np.ndarray

    @property
    def places(self) -> np.ndarray:
        """(R,) current viewpoint of each state."""
        return self.paths.state.viewpoints[self.states]

    def inputs(
        self,
        model: MapTransformer,
        features: WorldFeatures,
        chosen: np.ndarray | None = None,
        hidden: np.ndarray | None = None,
    ) -> tuple[NodeInputs, ViewInputs]:
        """Encode the panoramas, with one feature dropout mask per path.

        Args:
            hidden: (P, V) bool, views of the states of `paths` whose features are zero.
        """
        inputs = self._encode(model, features, hidden)
        states = self.states if chosen is None else self.states[chosen]
        return _select_states(inputs, torch.from_numpy(states).to(inputs[0].features.device))

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
        leading = candidates
        if features.objects is not None:
            leading = candidates + features.objects.counts[self.places]
        order = np.argsort(sizes, kind="stable")
        for part in np.array_split(order, max(1, len(order) // _LEAST_STATES)):
            index = torch.from_numpy(self.states[part]).to(inputs[0].features.device)
            chosen = _select_states(inputs, index)
            largest = (int(counts[part].max()) for counts in (sizes, candidates, leading))
            yield part, without_padding(chosen, *largest)

    def _encode(
        self, model: MapTransformer, features: WorldFeatures, hidden: np.ndarray | None = None
    ) -> tuple[NodeInputs, ViewInputs]:
        dropout = model.panorama.episode_dropout(int(self.paths.state.rows.max()) + 1)
        return self.paths.encode(model, features, dropout=dropout, hidden=hidden)

    def last(self) -> np.ndarray:
        """Return the (B,) indices of the last states, in the order of the episodes."""
        order, ends = self._ordered()
        return order[ends]

    def drawn(self, rng: np.random.Generator) -> np.ndarray:
        """Sample a step per path (B,): the last one with p = 0.2, else uniformly (DUET)."""
        order, ends = self._ordered()
        earlier = np.diff(ends, prepend=-1) - 1  # (B,) numbers of earlier states
        back = rng.integers(1, np.maximum(earlier, 1) + 1)
        whole = (rng.random(len(ends)) < _WHOLE_PATHS) | (earlier == 0)
        return order[np.where(whole, ends, ends - back)]

    def _ordered(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the order (R,) of the states by episode and step, and the (B,) last places."""
        order = np.lexsort((self.paths.steps[self.states], self.episodes))
        episodes = self.episodes[order]
        return order, np.flatnonzero(np.append(episodes[1:] != episodes[:-1], True))


def path_batch(
    features: WorldFeatures, references: ReferencePaths, episodes: np.ndarray, revisits: bool
) -> PathBatch:
    """Describe the reference paths of episodes.

    A path is followed by its steps, also if it passes its goal early. Shortest paths are inserted
    between viewpoints that are not neighbours.

    Args:
        episodes: (B,) episodes.
    """
    geometry = features.geometry
    walks = ReferenceWalks.of(geometry.world, references, episodes)
    paths = known_paths(geometry, walks.nodes, walks.views, revisits)
    state, episode = np.nonzero(paths.state.rows[:, None] == walks.owners)
    targets = paths.targets[state]
    targets = np.where(paths.state.forbidden[state, targets], NO_TARGET, targets)
    return PathBatch(paths, state, episode, targets)


class MapLoss(MinibatchesLoss):
    """A map transformer and the loss of its training.

    Args:
        objects: Target objects of the episodes; None for a network without objects.
    """

    model: MapTransformer
    _config: MapTrainConfig

    def __init__(
        self, model: MapTransformer, config: MapTrainConfig, objects: ObjectTargets | None = None
    ) -> None:
        super().__init__(model, config)
        self._objects = objects

    @property
    def critic_width(self) -> int:
        """Width of the encoded [stop] tokens of both branches."""
        return 2 * self._config.network.hidden_size

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
        text = model.read(self.instructions(env, episodes).to(device))
        losses, agreed, grounding = [], 0.0, Grounding(self._objects, features.geometry)
        for part, inputs in paths.parts(model, features):
            owners = torch.from_numpy(paths.episodes[part]).to(device)
            targets = torch.from_numpy(paths.targets[part]).to(device)
            scores = model.score(text.rows(owners), *inputs)
            losses.append(decision_loss(scores.decision, targets))
            agreed += agreement_share(scores.decision, targets) * len(part)
            grounding.add(scores, episodes[paths.episodes[part]], paths.places[part])
        loss = torch.stack(losses).sum() / len(episodes)
        figures = {"cloning": loss.item(), "agreement": agreed / len(paths.states)}
        objects, more = grounding.loss(len(episodes), "cloned")
        return loss + self._config.object_weight * objects, figures | more

    def sample(
        self,
        env: VlnVectorEnv,
        features: WorldFeatures,
        references: ReferencePaths,
        batch: Minibatches,
    ) -> tuple[Tensor, Figures]:
        """Walk episodes with sampled decisions; return the weighted losses and figures to log.

        The loss of DAgger is per episode. The figures contain the share of decisions in which the
        network agrees with the expert, and the number of decisions of an episode.
        """
        config, episodes = self._config, batch.sampled
        nodes, sizes = references.nodes[episodes], references.sizes[episodes]
        world = features.geometry.world
        revisits = config.network.revisits
        expert = Expert(
            world,
            nodes.astype(np.int64),
            sizes,
            config.expert,
            revisits,
            references.goals[episodes],
        )

        def policy(
            maps: TopologicalMaps, state: MapState, scores: Scores, labels: np.ndarray | None
        ) -> np.ndarray:
            chosen = sample_logits(scores.decision.float(), batch.draws.next(state.rows))
            if config.sampled_steps == 1:
                return chosen
            assert labels is not None
            guided = batch.draws.next(state.rows) >= config.sampled_steps
            return mix_in_expert(chosen, labels, guided)

        # A walk ends at the goal, as in DUET: afterwards the goal is a visited node, so that every
        # label would lead elsewhere. Reinforcement must see what a missed stop leads to. Nothing is
        # learnt from DUET's walk to the best stop, which it leaves out after a sampled [stop] away
        # from the goal.
        agent = MapAgent(
            self.model,
            features,
            config.max_decisions,
            policy,
            stops_at_best=False,
            expert=expert,
            ends_with_expert=self.critic is None,
            use_instructions=config.use_instructions,
        )
        walk = agent.walk(env, [env.episodes[episode].instr_id for episode in episodes])
        return self._walk_losses(walk, episodes, features.geometry)

    def _walk_losses(
        self, walk: MapWalk, episodes: np.ndarray, geometry: MapGeometry
    ) -> tuple[Tensor, Figures]:
        """Return the weighted losses of sampled walks of episodes (B,), and the figures to log."""
        config = self._config
        losses, agreed, count, grounding = [], 0.0, 0, Grounding(self._objects, geometry)
        stopped = np.zeros(len(episodes), dtype=bool)
        for decision in walk.decisions:
            assert decision.labels is not None
            after = stopped[decision.rows]
            labels = np.where(after, NO_TARGET, decision.labels)
            grounding.add(
                decision.scores,
                np.where(after, -1, episodes[decision.rows]),
                decision.state.viewpoints,
            )
            stopped[decision.rows] |= labels == STOP_TOKEN
            targets = torch.from_numpy(labels).to(decision.scores.decision.device)
            losses.append(decision_loss(decision.scores.decision, targets))
            agreed += agreement_share(decision.scores.decision, targets) * len(targets)
            count += len(targets)
        loss = torch.stack(losses).sum() / len(episodes)
        objects, more = grounding.loss(len(episodes), "sampled")
        figures = {
            "sampled": loss.item(),
            "sampled_agreement": agreed / count,
            "decisions": count / len(episodes),
            **more,
        }
        loss = config.sampled_weight * (loss + config.object_weight * objects)
        if self.critic is not None:
            choices = sampled_choices(walk)
            reinforcement, more = walk_loss(choices, self.critic, config.reinforcement)
            loss = loss + config.reinforcement.weight * reinforcement
            figures |= more
        return loss, figures


class Grounding:
    """Loss of the objects at the states of a batch, for a network with objects (DUET: og).

    A state has a label if its viewpoint is one of the goal's and the target object is among those
    that the network reads.

    Args:
        targets: Target objects; None for a network without objects.
    """

    def __init__(self, targets: ObjectTargets | None, geometry: MapGeometry) -> None:
        self._targets = targets
        self._geometry = geometry
        self._losses: list[Tensor] = []
        self._correct = self._labels = 0

    def add(self, scores: Scores, episodes: np.ndarray, nodes: np.ndarray) -> None:
        """Add states with their scores.

        Args:
            episodes: (R,) episodes of the environment; -1 leaves a state out.
            nodes: (R,) viewpoints.
        """
        if self._targets is None:
            return
        assert scores.objects is not None
        tokens = target_tokens(self._targets, self._geometry, episodes, nodes)
        # Without its objects, a row of minus infinity would make the gradient NaN.
        rows = np.flatnonzero(tokens != NO_TARGET)
        logits = scores.objects.index_select(0, torch.from_numpy(rows).to(scores.objects.device))
        targets = torch.from_numpy(tokens[rows]).to(logits.device)
        self._losses.append(decision_loss(logits, targets))
        self._correct += int((logits.detach().argmax(1) == targets).sum()) if rows.size else 0
        self._labels += rows.size

    def loss(self, episodes: int, walk: str) -> tuple[Tensor | float, Figures]:
        """Return the loss per episode and the figures to log, whose names contain the walk's."""
        if self._targets is None:
            return 0.0, {}
        loss = torch.stack(self._losses).sum() / episodes
        share = self._correct / max(1, self._labels)
        return loss, {f"{walk}_objects": loss.item(), f"{walk}_correct_objects": share}


def sampled_choices(walk: MapWalk) -> list[SampledChoices]:
    """Return the decisions of walks for reinforcement; the critic reads the [stop] tokens.

    The last decision of an episode that reached its limit of decisions was not carried out.
    """
    return [
        SampledChoices(
            decision.rows,
            decision.scores.decision,
            decision.scores.hidden,
            decision.chosen,
            ~decision.ends | (decision.chosen == STOP_TOKEN),
            rewards,
        )
        for decision, rewards in zip(walk.decisions, walk.rewards, strict=True)
    ]


def decision_loss(scores: Tensor, targets: Tensor) -> Tensor:
    """Return the summed cross-entropy of scores (R, N), without the states that have no target."""
    return functional.cross_entropy(
        scores.float(), targets, reduction="sum", ignore_index=NO_TARGET
    )


def agreement_share(scores: Tensor, targets: Tensor) -> float:
    """Return the share of states whose highest score is that of the target."""
    return (scores.detach().argmax(1) == targets).float().mean().item()


def object_targets(features: WorldFeatures, env: VlnVectorEnv) -> ObjectTargets | None:
    """Return the target objects of the episodes of an environment; None without objects."""
    if features.objects is None:
        return None
    return ObjectTargets(env.nav_world, env.episodes, features.objects.ids_of)


class MapLearner(MinibatchesLearner):
    """A map agent, and the episodes to learn from."""

    config: MapTrainConfig
    model: MapTransformer
    network: MapLoss
    make_network = staticmethod(make_map_transformer)

    def make_features(self, env: VlnVectorEnv) -> WorldFeatures:
        """Return the features and the geometry of the world of an environment."""
        return map_features(env, self.config.device, self.config.max_objects)

    def make_loss(self) -> MapLoss:
        """Return the network with its loss."""
        return MapLoss(self.model, self.config, object_targets(self.features, self.env))

    def agent(self, split: str) -> MapAgent:
        """Return the greedy agent on a split."""
        return greedy_agent(self.config, self.model, self.evaluation_envs[split])
