"""MapAgent: walks to any node of its map, or stops at the best viewpoint it has visited.

An episode is a sequence of decisions. Each decision is a node of the map, which may be several hops
away, or [stop]. When the episode ends, the agent walks to the visited viewpoint whose probability
of [stop] was highest when it was there (DUET `r2r/agent.py: GMapNavAgent.rollout`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.acting.rollout import Observation
from agents.map_transformer.experts import STOP_TOKEN, Expert
from agents.map_transformer.known_maps import KnownMaps
from agents.map_transformer.memory import PanoramaMemory, WorldFeatures, encode_panoramas
from agents.map_transformer.model import EncodedText, MapTransformer, Scores
from agents.map_transformer.states import MapState, map_state
from envs.navigation.vector_env import VlnVectorEnv


class Decision(NamedTuple):
    """Decisions of the R episodes that had not ended.

    Attributes:
        rows: (R,) episodes.
        state: What the network has read.
        scores: Scores of the map tokens.
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


# Chooses map tokens (R,) for R episodes: (maps, state, scores) -> tokens.
Policy = Callable[[KnownMaps, MapState, Scores], np.ndarray]


@dataclass
class MapWalk:
    """A batch of walks.

    Attributes:
        maps: Known maps at the end.
        decisions: Decisions in order.
        rewards: (R,) rewards of each decision, in the order of its rows; the walk to the last
            viewpoint is part of the last decision.
        truncated: (C,) episodes that reached the hop limit of the environment.
    """

    maps: KnownMaps
    decisions: list[Decision] = field(default_factory=list)
    rewards: list[np.ndarray] = field(default_factory=list)
    truncated: np.ndarray = field(default_factory=lambda: np.zeros(0, np.int64))


def greedy(maps: KnownMaps, state: MapState, scores: Scores) -> np.ndarray:
    """Choose the map tokens with the highest scores."""
    return scores.decision.detach().argmax(1).cpu().numpy()


class MapAgent:
    """A map transformer that walks in a vector environment.

    Args:
        model: The network; in training mode it applies dropout.
        features: Visual features of the world.
        max_decisions: Maximum number of decisions of an episode (DUET: 15 for R2R).
        policy: Chooses the map tokens; the highest scores by default.
        stops_at_best: Walk to the visited viewpoint with the highest probability of [stop] at the
            end; otherwise the episode ends where the agent is.
        expert: Expert of the batch that labels every state, which the policy may also use.
        tokens: (B, L) instructions; those of the environment by default.
    """

    def __init__(
        self,
        model: MapTransformer,
        features: WorldFeatures,
        max_decisions: int = 15,
        policy: Policy = greedy,
        stops_at_best: bool = True,
        expert: Expert | None = None,
        tokens: np.ndarray | None = None,
    ) -> None:
        if not 1 <= max_decisions < model.config.max_steps:
            raise ValueError(
                f"max_decisions {max_decisions}: must be in 1..{model.config.max_steps - 1}, the "
                "size of the table of steps"
            )
        self.model = model
        self.features = features
        self.max_decisions = max_decisions
        self._policy = policy
        self._stops_at_best = stops_at_best
        self._expert = expert
        self._tokens = tokens
        self._device = next(model.parameters()).device
        self._text: EncodedText
        self._text_rows = np.arange(0)
        self._maps: KnownMaps
        self._memory: PanoramaMemory
        self._panoramas = np.zeros((0, 0), np.int64)
        self._stop_probabilities = np.zeros((0, 0))

    def walk(self, env: VlnVectorEnv, instr_ids: Sequence[str]) -> MapWalk:
        """Walk episodes to their end; `env.trajectories()` then returns the trajectories.

        A trajectory contains every viewpoint that the agent has passed.

        Args:
            env: Environment without autoreset; its `max_episode_steps` limits the hops.
            instr_ids: Episodes, at most `env.num_envs`.

        Raises:
            ValueError: There are too many episodes, or the policy chose an impossible map token.
        """
        spare = env.num_envs - len(instr_ids)
        if spare < 0:
            raise ValueError(f"{len(instr_ids)} episodes for {env.num_envs} environments")
        padded = [*instr_ids, *[instr_ids[0]] * spare]
        observation, _ = env.reset(options={"episode_ids": padded})
        live = np.arange(len(instr_ids))
        self.begin(observation, live)
        result = MapWalk(self._maps)
        for number in range(1, self.max_decisions + 1):
            decision = self.decide(observation, live, is_last=number == self.max_decisions)
            routes, stop = self._routes(decision, env.num_envs)
            if self._expert is not None:
                self._expert.walk(live, routes[live])
            observation, rewards, terminated, truncated, _ = env.follow(routes, stop)
            result.decisions.append(decision)
            result.rewards.append(rewards[live])
            result.truncated = np.append(result.truncated, live[truncated[live]])
            live = live[~(terminated | truncated)[live]]
            if not live.size:
                break
        return result

    def begin(self, observation: Observation, rows: np.ndarray) -> None:
        """Encode the instructions and start empty maps for the first R rows of a batch."""
        tokens = observation["instruction"] if self._tokens is None else self._tokens
        tokens = tokens[rows]
        length = int((tokens != 0).sum(1).max())
        sent = torch.from_numpy(np.ascontiguousarray(tokens[:, :length])).to(self._device).long()
        self._text, self._text_rows = self.model.read(sent), rows
        self._maps = KnownMaps(self.features.geometry, len(rows))
        self._memory = PanoramaMemory()
        longest = int(self.features.geometry.world.locals.max()) + 2
        self._panoramas = np.full((len(rows), longest), -1)
        self._stop_probabilities = np.full((len(rows), longest), -1.0)

    def decide(self, observation: Observation, rows: np.ndarray, is_last: bool) -> Decision:
        """Add the current viewpoints of R episodes to their maps and choose map tokens.

        Args:
            observation: Observation with `viewpoint` and `view` of all rows.
            rows: (R,) episodes that have not ended.
            is_last: Whether the episodes end after this decision in any case.
        """
        nodes, views = observation["viewpoint"][rows], observation["view"][rows]
        self._maps.visit(rows, nodes)
        here = self._maps.current[rows]
        index = encode_panoramas(self.model, self.features, self._memory, nodes, views)
        self._panoramas[rows, here] = index
        revisits = self.model.config.revisits
        state = map_state(self._maps, self._panoramas, rows, views, revisits)
        self._keep_text(rows)
        scores = self.model.score(self._text, *self._memory.inputs(state, index))
        logits = scores.decision.detach()
        self._stop_probabilities[rows, here] = _stop_probabilities(logits)
        labels = None
        if self._expert is not None:
            labels = self._expert.targets(self._maps, rows, state.tokens)
        chosen = self._chosen(state, scores)
        return Decision(rows, state, scores, chosen, (chosen == STOP_TOKEN) | is_last, labels)

    def _chosen(self, state: MapState, scores: Scores) -> np.ndarray:
        """Return the map tokens (R,) of the policy; [stop] where no node can be chosen."""
        allowed = state.tokens.mask & ~state.forbidden
        chosen = np.asarray(self._policy(self._maps, state, scores))
        chosen = np.where(allowed[:, 1:].any(1), chosen, STOP_TOKEN)
        wrong = np.flatnonzero(~allowed[np.arange(len(chosen)), chosen])
        if wrong.size:
            raise ValueError(
                f"episode {state.rows[wrong[0]]}: the policy chose map token {chosen[wrong[0]]}, "
                "which is padding or cannot be visited; choose among the finite scores"
            )
        return chosen

    def _routes(self, decision: Decision, num_envs: int) -> tuple[np.ndarray, np.ndarray]:
        """Return the routes (B, H) of decisions, and who stops (B,)."""
        rows = decision.rows
        each = np.arange(len(rows))
        targets = decision.state.tokens.slots[each, decision.chosen]
        last = self._maps.current[rows]
        if self._stops_at_best:
            last = self._stop_probabilities[rows].argmax(1)
        targets = np.where(decision.ends, last, targets)
        routes = self._maps.routes(rows, targets)
        all_routes = np.full((num_envs, routes.shape[1]), -1)
        all_routes[rows] = routes
        stop = np.zeros(num_envs, bool)
        stop[rows] = decision.ends
        return all_routes, stop

    def _keep_text(self, rows: np.ndarray) -> None:
        if len(rows) < len(self._text_rows):
            kept = np.flatnonzero(np.isin(self._text_rows, rows))
            self._text = self._text.rows(torch.from_numpy(kept).to(self._device))
            self._text_rows = rows


def _stop_probabilities(logits: Tensor) -> np.ndarray:
    """Return the (R,) probabilities of [stop]."""
    return torch.softmax(logits.float(), 1)[:, STOP_TOKEN].cpu().numpy()
