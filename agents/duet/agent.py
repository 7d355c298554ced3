"""MapAgent: walks to any node of its map, or stops at the best viewpoint it has visited.

An episode is a sequence of decisions. Each decision is a node of the map, which may be several hops
away, or [stop]. When the episode ends, the agent walks to the visited viewpoint whose probability
of [stop] was highest when it was there (DUET `r2r/agent.py: GMapNavAgent.rollout`).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.acting.rollout import STOP, Observation
from clipnav.agents.duet.memory import PanoramaMemory, WorldFeatures, encode_panoramas
from clipnav.agents.duet.model import EncodedText, MapTransformer, Scores
from clipnav.agents.duet.objects import NodeObjects, best_objects
from clipnav.agents.duet.settings import MapAgentConfig, MapTrainConfig
from clipnav.agents.duet.states import MapState, map_state
from clipnav.agents.layers.encoders import cropped, readable
from clipnav.agents.maps.experts import STOP_TOKEN, Expert
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.maps.route_walker import Choice, RouteWalker
from clipnav.agents.maps.topological_maps import TopologicalMaps, action_probabilities, known_map
from clipnav.agents.transformer.building import load_transformer, make_encoders
from clipnav.envs.navigation.device_features import world_features
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import Tokenizer
from clipnav.storage.errors import UserError

# Chooses map tokens (R,) for R episodes: (maps, state, scores, labels) -> tokens. The labels are
# those of the expert, as in `Decision`.
Policy = Callable[[TopologicalMaps, MapState, Scores, np.ndarray | None], np.ndarray]


def _describe_decision(
    maps: TopologicalMaps, state: MapState, scores: Scores, choice: Choice
) -> dict[str, Iterable[Any]]:
    """Return details of the decisions of R agents, see `RouteWalker.describe`."""
    slots = state.tokens.slots
    chances = torch.softmax(scores.decision.detach().float(), 1).cpu().numpy()
    probabilities = action_probabilities(maps, state.rows, slots, chances)
    probabilities[:, STOP] = chances[:, STOP_TOKEN]
    node_chances = _by_slot(np.where(state.forbidden, np.nan, chances), state, maps)
    node_scores = _by_slot(_array(scores.global_scores), state, maps)
    decided = zip(
        state.rows.tolist(),
        node_chances,
        choice.targets,
        choice.ends,
        _array(scores.gate),
        node_scores,
        strict=True,
    )
    known_maps = [known_map(maps, *each) for each in decided]
    return {"probabilities": probabilities, "known_map": known_maps}


def _by_slot(values: np.ndarray, state: MapState, maps: TopologicalMaps) -> np.ndarray:
    """Return values (R, N) of the map tokens as values (R, S) of the slots; NaN without one."""
    slots = state.tokens.slots
    by_slot = np.full((len(slots), maps.nodes.shape[1]), np.nan)
    row, token = np.nonzero(slots >= 0)
    by_slot[row, slots[row, token]] = values[row, token]
    return by_slot


def _array(scores: Tensor) -> np.ndarray:
    return scores.detach().float().cpu().numpy()


class MapDecision(NamedTuple):
    """Decisions of the R episodes that had not ended.

    Attributes:
        rows: (R,) episodes.
        chosen: (R,) map tokens; 0 is [stop].
        ends: (R,) bool, whether the episode ends with this decision.
        labels: (R,) map tokens of the expert; None without an expert.
    """

    rows: np.ndarray
    state: MapState
    scores: Scores
    chosen: np.ndarray
    ends: np.ndarray
    labels: np.ndarray | None


@dataclass
class MapWalk:
    """A batch of walks.

    Attributes:
        rewards: (R,) rewards of each decision, in the order of its rows; the walk to the last
            viewpoint is part of the last decision.
        truncated: (C,) episodes that reached the hop limit of the environment.
    """

    decisions: list[MapDecision] = field(default_factory=list)
    rewards: list[np.ndarray] = field(default_factory=list)
    truncated: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


def greedy(
    maps: TopologicalMaps, state: MapState, scores: Scores, labels: np.ndarray | None
) -> np.ndarray:
    """Choose the map tokens with the highest scores."""
    return scores.decision.detach().argmax(1).cpu().numpy()


class MapAgent(RouteWalker):
    """A map transformer that walks in a vector environment.

    Args:
        stops_at_best: Walk to the visited viewpoint with the highest probability of [stop] at the
            end; otherwise the episode ends where the agent is.
    """

    def __init__(
        self,
        model: MapTransformer,
        features: WorldFeatures,
        max_decisions: int = 15,
        policy: Policy = greedy,
        stops_at_best: bool = True,
        expert: Expert | None = None,
        ends_with_expert: bool = False,
        use_instructions: bool = True,
    ) -> None:
        if not 1 <= max_decisions < model.config.max_steps:
            raise UserError(
                f"max_decisions {max_decisions}: must be in 1..{model.config.max_steps - 1}, the "
                "size of the table of steps"
            )
        super().__init__(features.geometry.world, expert)
        self.model = model
        self.features = features
        self.max_decisions = max_decisions
        self._policy = policy
        self._stops_at_best = stops_at_best
        self._ends_with_expert = ends_with_expert
        self._use_instructions = use_instructions
        self._device = next(model.parameters()).device
        self._text: EncodedText
        self._memory: PanoramaMemory
        self._dropout: Tensor | None = None
        self._panoramas = np.zeros((0, 0), np.int64)
        self._stop_probabilities = np.zeros((0, 0))
        self._best_objects = np.zeros((0, 0), np.int64)
        self._decided = np.zeros(0, np.int64)
        self._decision: MapDecision

    def walk(self, env: VlnVectorEnv, instr_ids: Sequence[str]) -> MapWalk:
        """Walk episodes to their end and record the decisions for a loss; see `segments`.

        Raises:
            TypeError, UserError: The environment or the number of episodes does not fit, or the
                policy chose an impossible map token.
        """
        result = MapWalk()
        for segment in self.segments(env, instr_ids):
            result.decisions.append(self._decision)
            result.rewards.append(segment.rewards)
            result.truncated = np.append(result.truncated, segment.truncated)
        return result

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Encode the instructions of the first N rows of a batch and start empty maps."""
        tokens = readable(observation["instruction"][live], self._use_instructions)
        self._text = self.model.read(cropped(tokens).to(self._device))
        self._dropout = self.model.panorama.episode_dropout(len(live))
        self.start_maps(TopologicalMaps(self.features.geometry, len(live)))
        self._memory = PanoramaMemory()
        longest = int(self.features.geometry.world.locals.max()) + 2
        self._panoramas = np.full((len(live), longest), -1)
        self._stop_probabilities = np.full((len(live), longest), -1.0)
        self._best_objects = np.full((len(live), longest), -1)
        self._decided = np.zeros(len(live), np.int64)

    def choose(self, observation: Observation, rows: np.ndarray) -> Choice:
        """Choose the next nodes of R agents, see `RouteWalker.choose`."""
        self._decision = self.decide(observation, rows)
        targets = self._targets(self._decision)
        objects = None if self.model.object_size is None else self.answers(rows, targets)
        return Choice(targets, self._decision.ends, objects)

    def describe(self, choice: Choice) -> dict[str, Iterable[Any]]:
        """Describe the last decision, see `RouteWalker.describe`."""
        return _describe_decision(self._maps, self._decision.state, self._decision.scores, choice)

    def decide(self, observation: Observation, rows: np.ndarray) -> MapDecision:
        """Add the current viewpoints of R episodes to their maps and choose map tokens.

        Args:
            rows: (R,) episodes that have not ended, in ascending order.
        """
        self._decided[rows] += 1
        nodes, views = observation["viewpoint"][rows], observation["view"][rows]
        self._maps.visit(rows, nodes)
        here = self._maps.current[rows]
        every = torch.from_numpy(rows).to(self._device)
        dropout = None if self._dropout is None else self._dropout[every]
        index = encode_panoramas(self.model, self.features, self._memory, nodes, views, dropout)
        self._panoramas[rows, here] = index
        revisits = self.model.config.revisits
        state = map_state(self._maps, self._panoramas, rows, views, revisits)
        text = self._text if len(rows) == len(self._moves) else self._text.rows(every)
        scores = self.model.score(text, *self._memory.inputs(state, index))
        logits = scores.decision.detach()
        self._stop_probabilities[rows, here] = _stop_probabilities(logits)
        if scores.objects is not None:
            candidates = (state.candidates >= 0).sum(1)
            self._best_objects[rows, here] = best_objects(scores.objects, candidates)
        labels = None
        if self._expert is not None:
            labels = self._expert.targets(self._maps, rows, state.tokens)
        chosen = self._chosen(state, scores, labels)
        ends = (chosen == STOP_TOKEN) | (self._decided[rows] == self.max_decisions)
        if labels is not None and self._ends_with_expert:
            ends |= labels == STOP_TOKEN
        return MapDecision(rows, state, scores, chosen, ends, labels)

    def _chosen(self, state: MapState, scores: Scores, labels: np.ndarray | None) -> np.ndarray:
        """Return the map tokens (R,) of the policy; [stop] where no node can be chosen."""
        allowed = state.tokens.mask & ~state.forbidden
        chosen = np.asarray(self._policy(self._maps, state, scores, labels))
        chosen = np.where(allowed[:, 1:].any(1), chosen, STOP_TOKEN)
        wrong = np.flatnonzero(~allowed[np.arange(len(chosen)), chosen])
        if wrong.size:
            raise ValueError(
                f"episode {state.rows[wrong[0]]}: the policy chose map token {chosen[wrong[0]]}, "
                "which is padding or cannot be visited; choose among the finite scores"
            )
        return chosen

    def _targets(self, decision: MapDecision) -> np.ndarray:
        """Return the (R,) slots that the agents go to; episodes end at the best viewpoint."""
        rows = decision.rows
        targets = decision.state.tokens.slots[np.arange(len(rows)), decision.chosen]
        last = self._maps.current[rows]
        if self._stops_at_best:
            last = self._stop_probabilities[rows].argmax(1)
        return np.where(decision.ends, last, targets)

    def answers(self, rows: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Return the (R,) ranks of the chosen objects at visited slots; -1 where there are none.

        Args:
            rows: (R,) episodes.
            slots: (R,) slots of the maps.
        """
        return self._best_objects[rows, slots]


def _stop_probabilities(logits: Tensor) -> np.ndarray:
    """Return the (R,) probabilities of [stop]."""
    return torch.softmax(logits.float(), 1)[:, STOP_TOKEN].cpu().numpy()


def make_map_transformer(
    config: MapAgentConfig, env: VlnVectorEnv, tokenizer: Tokenizer | None = None
) -> MapTransformer:
    """Build an untrained network for an environment."""
    width = 0 if env.feature_store is None else env.feature_store.width
    text, views = make_encoders(config, env)
    words = len(tokenizer or env.tokenizer)
    object_size = None
    if env.objects is not None:
        object_size = env.objects.width if width else 0
    network = MapTransformer(config.network, words, width, text, views, object_size)
    return network.to(config.device)


def map_features(env: VlnVectorEnv, device: str, max_objects: int | None = None) -> WorldFeatures:
    """Return the visual features, the objects and the geometry of the world of an environment.

    Args:
        max_objects: Number of objects of a viewpoint to keep; None keeps all.
    """
    features = world_features(env.nav_world, env.feature_store, torch.device(device))
    objects = None
    if env.objects is not None:
        objects = NodeObjects.of(env.objects, device).limited(max_objects)
    return WorldFeatures(MapGeometry.of(env.nav_world), features, device, objects)


def greedy_agent(config: MapAgentConfig, model: MapTransformer, env: VlnVectorEnv) -> MapAgent:
    """Return a map agent that decides greedily in an environment."""
    return MapAgent(
        model,
        map_features(env, config.device),
        config.max_decisions,
        stops_at_best=config.stops_at_best,
        use_instructions=config.use_instructions,
    )


def load_map_agent(run: Path, split: str, config: MapTrainConfig) -> tuple[VlnVectorEnv, MapAgent]:
    """Build the environment of a split and load the map agent of a run; see `load_transformer`."""
    env, model = load_transformer(run, split, config, make_map_transformer)
    return env, greedy_agent(config, model, env)
