"""RouteWalker: an agent whose decisions are nodes of its map, to which it walks step by step."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from clipnav.agents.acting.rollout import STOP, Observation
from clipnav.agents.maps.experts import Expert
from clipnav.agents.maps.topological_maps import TopologicalMaps
from clipnav.envs.base.infos import check_loaded_for, start_episodes
from clipnav.envs.graphs.nav_world import NavWorld, route_moves
from clipnav.envs.navigation.vector_env import VlnVectorEnv


class Choice(NamedTuple):
    """Where R agents go next.

    Attributes:
        targets: (R,) slots of the nodes.
        ends: (R,) bool, whether the episode ends there.
        objects: (R,) index of the object that the agent points out if it ends there, -1 for none;
            None for agents that never do.
    """

    targets: np.ndarray
    ends: np.ndarray
    objects: np.ndarray | None = None


class Segment(NamedTuple):
    """Walks of R agents to their chosen nodes.

    Attributes:
        rows: (R,) episodes.
        targets: (R,) slots of the nodes.
        rewards: (R,) sums of the rewards on the way, stop included.
        truncated: (C,) rows that reached the hop limit of the environment.
    """

    rows: np.ndarray
    targets: np.ndarray
    rewards: np.ndarray
    truncated: np.ndarray


class RouteWalker(ABC):
    """Agent that chooses nodes of its map. Its `begin` calls `start_maps`.

    Attributes:
        loaded_for: Environment of a loaded agent, see `check_loaded_for`.
    """

    loaded_for: VlnVectorEnv | None = None

    def __init__(self, world: NavWorld, expert: Expert | None = None) -> None:
        self._world = world
        self._expert = expert
        self._maps: TopologicalMaps
        self._moves: list[list[int]] = []
        self._acted = self._chose = np.zeros(0, np.int64)
        self._choice: Choice

    def start_maps(self, maps: TopologicalMaps) -> None:
        """Start new episodes, one for each of the empty maps."""
        self._maps = maps
        self._moves = [[] for _ in maps.counts]

    @abstractmethod
    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Start episodes in the first N rows, see `clipnav.agents.acting.rollout.Agent`."""

    def segments(self, env: VlnVectorEnv, instr_ids: Sequence[str]) -> Iterator[Segment]:
        """Walk episodes to their end; `env.trajectories()` then returns the trajectories.

        A trajectory contains every viewpoint that an agent has passed. All agents choose their
        nodes together and walk there at once; `clipnav.agents.acting.rollout.walk` leads to the
        same trajectories, one step at a time.
        """
        check_loaded_for(env, self)
        observation, info, live = start_episodes(env, instr_ids)
        self.begin(observation, info, live)
        while live.size:
            choice = self.choose(observation, live)
            routes = self.routes(live, choice.targets)
            stop = np.zeros(env.num_envs, bool)
            all_routes = np.full((env.num_envs, routes.shape[1]), -1)
            all_routes[live], stop[live] = routes, choice.ends
            answers: dict[str, np.ndarray] = {}
            if choice.objects is not None:
                answers["objects"] = np.full(env.num_envs, -1)
                answers["objects"][live] = choice.objects
            observation, rewards, terminated, truncated, _ = env.follow(all_routes, stop, **answers)
            yield Segment(live, choice.targets, rewards[live], live[truncated[live]])
            live = live[~(terminated | truncated)[live]]

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Return the next actions (N,) of the live rows on the routes to their chosen nodes.

        Rows that have reached their node choose another one first.
        """
        rows = np.array([row for row in live.tolist() if not self._moves[row]], np.int64)
        self._acted, self._chose = live, rows
        if rows.size:
            self._choice = self.choose(observation, rows)
            routes = self.routes(rows, self._choice.targets)
            moves = route_moves(self._world, observation["viewpoint"][rows], routes)
            stops = np.full(len(rows), STOP)
            if self._choice.objects is not None:
                first = self._world.num_actions  # action that points out object 0
                stops = np.where(self._choice.objects < 0, STOP, first + self._choice.objects)
            stops = np.where(self._choice.ends, stops, -1)
            for row, *actions in zip(rows, *moves.T.tolist(), stops.tolist(), strict=True):
                self._moves[row] = [action for action in actions if action >= 0]
        return np.array([self._moves[row].pop(0) for row in live.tolist()])

    def explain(self) -> dict[str, np.ndarray]:
        """Return details of the last actions, see `describe`.

        Returns:
            Object arrays with an entry for each of the N rows that were live; None for rows on the
            way to a node that they chose earlier.
        """
        parts: dict[str, np.ndarray] = {}
        places = np.searchsorted(self._acted, self._chose)
        described = self.describe(self._choice) if places.size else {}
        for name, details in described.items():
            parts[name] = column = np.empty(len(self._acted), object)
            for place, detail in zip(places, details, strict=True):
                column[place] = detail
        return parts

    @abstractmethod
    def choose(self, observation: Observation, rows: np.ndarray) -> Choice:
        """Choose the next nodes of R agents.

        Args:
            rows: (R,) episodes that have reached their node, in ascending order.
        """

    @abstractmethod
    def describe(self, choice: Choice) -> dict[str, Iterable[Any]]:
        """Return details of the last choice of R agents, for traces."""

    def routes(self, rows: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Return the routes (R, H) of R agents to slots (R,), see `TopologicalMaps.routes`.

        The expert records them.
        """
        routes = self._maps.routes(rows, targets)
        if self._expert is not None:
            self._expert.walk(rows, routes)
        return routes
