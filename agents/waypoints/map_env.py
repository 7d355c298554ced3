"""Continuous episodes of agents with a map: nodes are the places that they have visited or seen."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.waypoints.env import (
    MOST_PLACES,
    Places,
    Propose,
    ViewEncoder,
    WaypointEnv,
    place_positions,
)
from clipnav.envs.continuous.episodes import ContinuousSplit
from clipnav.envs.continuous.experts import GreedyFollower
from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor
from clipnav.envs.continuous.settings import STOP, ContinuousSettings
from clipnav.envs.continuous.simulator import ContinuousSimulator
from clipnav.envs.graphs.candidates import start_views
from clipnav.envs.navigation.device_features import DeviceView
from clipnav.storage.features.view_grid import NUM_VIEWS, VIEW_ELEVATIONS, VIEW_HEADINGS

# Metres within which two places are one: `loc_noise` of ETPNav (8dec13a), R2R-CE.
SAME_PLACE = 0.5


class _Actions(NamedTuple):
    """What agents with a map use of `NavWorld`.

    Attributes:
        locals: (V,) number of each node among those of its agent.
        targets: (V, K) node of each action, -1 for padding; action 0 stays.
        mask: (V, K) bool, true where an action is valid.
    """

    locals: np.ndarray
    targets: np.ndarray
    mask: np.ndarray


class WaypointMaps:
    """Nodes of N agents: the places that they have visited or seen, and what is seen from there.

    A place within 0.5 m of a node that a straight walk reaches is that node. A node stays where it
    was first seen until it is visited, and then is where the agent stood: it is always on the
    floor.

    Attributes:
        world: Actions at the nodes, as those of the viewpoints of a `NavWorld`.
        geometry: Tables of the nodes, as of the viewpoints of a world. Node k of agent a has the
            index `a * most + k`.
        features: (N * most, 36, D) features of the views from the visited nodes.
        visited: (N * most,) bool.
    """

    def __init__(self, agents: int, most: int, places: int, width: int) -> None:
        size = agents * most
        targets = np.full((size, places + 1), -1)
        targets[:, 0] = np.arange(size)
        self.world: Any = _Actions(np.tile(np.arange(most), agents), targets, targets >= 0)
        self.geometry = MapGeometry(
            self.world,
            np.zeros((size, 3)),
            np.zeros((size, places)),
            targets[:, 1:],
            np.zeros(size, np.int64),
            np.full(size, NUM_VIEWS),
            np.tile(np.arange(NUM_VIEWS), (size, 1)),
            np.tile(VIEW_HEADINGS, (size, 1)),
            np.tile(VIEW_ELEVATIONS, (size, 1)),
        )
        self.features = torch.zeros(size, NUM_VIEWS, width)
        self.visited = np.zeros(size, bool)
        self._most, self._counts = most, np.zeros(agents, np.int64)

    def clear(self) -> None:
        """Forget all nodes."""
        self._counts[:] = 0
        self.visited[:] = False

    def find(self, agent: int, position: np.ndarray, floor: ContinuousFloor) -> int:
        """Return the node of an agent at a position (3,); a new one if none is there."""
        first = agent * self._most
        known = self.geometry.positions[first : first + self._counts[agent]]
        away = np.linalg.norm(known - position, axis=1)
        for number in np.argsort(away, kind="stable"):
            if away[number] >= SAME_PLACE:
                break
            start = known[number]
            east, north = (position - start)[:2]
            free = floor.straight_walks(start, np.array([np.arctan2(east, north)]))[0]
            if bool(free >= np.hypot(east, north) - 1e-6):
                return int(first + number)
        node = int(first + self._counts[agent])
        self.geometry.positions[node] = position
        self._counts[agent] += 1
        return node

    def around(self, node: int) -> Places:
        """Return the places around a visited node."""
        part = node, slice(self.geometry.candidate_counts[node])
        return Places(self.geometry.token_headings[part], self.geometry.edge_lengths[part])

    def visit(
        self,
        node: int,
        position: np.ndarray,
        headings: np.ndarray,
        distances: np.ndarray,
        nodes: Sequence[int],
    ) -> None:
        """Note where an agent stands at a node, and the nodes around it.

        Args:
            position: (3,) position of the agent.
            headings: (K,) headings of the places around it. For each further one in the same view,
                one of the highest views is left out.
            distances: (K,) metres.
        """
        geometry, count = self.geometry, len(nodes)
        self.visited[node] = True
        geometry.positions[node] = position
        geometry.candidates[node] = -1
        geometry.candidates[node, :count] = nodes
        self.world.mask[node] = self.world.targets[node] >= 0
        geometry.edge_lengths[node] = 0.0
        geometry.edge_lengths[node, :count] = distances
        geometry.candidate_counts[node] = count
        facing = start_views(headings)
        views = np.concatenate([facing, np.setdiff1d(np.arange(NUM_VIEWS), facing)])[:NUM_VIEWS]
        geometry.token_views[node] = views
        geometry.token_headings[node] = VIEW_HEADINGS[views]
        geometry.token_headings[node, :count] = headings
        geometry.token_elevations[node] = VIEW_ELEVATIONS[views]


class MapWaypointEnv(WaypointEnv):
    """N agents with a map in continuous episodes, in the interface of `RouteWalker.segments`.

    An action is a route along known nodes, as on a graph. A place beside the agent is reached by
    turns and steps straight to it, a known node by the greedy follower on the floor; all of them
    count as steps and metres of the walk.
    """

    def __init__(
        self,
        split: ContinuousSplit,
        simulator: ContinuousSimulator,
        settings: ContinuousSettings,
        encoder: ViewEncoder | None,
        num_envs: int,
        angle_feature_size: int,
        propose: Propose,
        max_decisions: int,
    ) -> None:
        super().__init__(split, simulator, settings, encoder, num_envs, angle_feature_size, propose)
        most = (max_decisions + 1) * (MOST_PLACES + 1)
        self.maps = WaypointMaps(num_envs, most, MOST_PLACES, encoder.embed_dim if encoder else 0)
        self._aims = np.full(num_envs, -1)  # node where each agent has gone
        self._is_first = np.zeros(num_envs, bool)  # visit of the node where the agent is

    def reset(self, *, options: dict[str, Any]) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Start the episodes of `options["episode_ids"]`, one for each agent."""
        self.maps.clear()
        self._aims[:] = -1
        return super().reset(options=options)

    def gather(self, viewpoints: np.ndarray, views: np.ndarray, num_candidates: int) -> DeviceView:
        """Return the features at visited nodes, see `WaypointEnv.gather`."""
        places = [self.maps.around(node) for node in viewpoints.tolist()]
        seen = self.maps.features[torch.from_numpy(viewpoints)].numpy()
        return self._device_view(seen, places, views, num_candidates)

    def follow(
        self, routes: np.ndarray, stop: np.ndarray
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        """Lead agents along routes and let them look around at the end.

        Args:
            routes: (N, H) nodes after the current ones, padded with -1. Agents with an empty route
                that do not stop stay as they are.
            stop: (N,) bool, who stops at the end of the route.
        """
        goes = ~self._ended & ((routes >= 0).any(1) | stop)
        for agent in np.flatnonzero(goes).tolist():
            if self._walk_route(agent, routes[agent][routes[agent] >= 0]) and stop[agent]:
                self._take(agent, STOP)
        observation, info = self._observe(np.flatnonzero(goes & ~self._ended))
        return observation, np.zeros(self.num_envs), self._ended.copy(), self._ended & False, info

    def _walk_route(self, agent: int, route: np.ndarray) -> bool:
        """Lead an agent along nodes (H,); return whether its episode has not ended there."""
        here = int(self._ids[agent])
        for node in route.tolist():
            around = self.maps.geometry.candidates[here].tolist()
            is_beside = here == self._ids[agent] and self._is_first[agent] and node in around
            if is_beside and not self.maps.visited[node]:
                self._walk(agent, 1 + around.index(node))
            else:
                self._walk_to(agent, self.maps.geometry.positions[node])
            if self._ended[agent]:
                return False
            here = self._aims[agent] = node
        return True

    def _walk_to(self, agent: int, goal: np.ndarray) -> None:
        """Lead an agent to a known position (3,) until it is less than a step away."""
        env = self._envs[agent]
        floor = self._simulator.floor(env.current_episodes()[0].scan)
        follower = GreedyFollower(1, self._settings, self._settings.step_size)
        while True:
            trace = env.traces()[0]
            pose = np.array(trace.positions[-1:]), np.array(trace.headings[-1:])
            action = int(follower.next_actions(floor, *pose, goal[None])[0])
            if action == STOP or self._take(agent, action):
                return

    def _observe(self, agents: np.ndarray) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Look around with some agents and return the observations of all."""
        observation, info = super()._observe(agents)
        seen = torch.from_numpy(self._features[agents]).to(self.maps.features.dtype)
        self.maps.features[torch.from_numpy(self._ids[agents])] = seen
        return observation, info

    def _remember(self, agent: int, position: np.ndarray) -> int:
        """Return the node where an agent is, and give the places around it their nodes.

        It is the node where the agent has gone, unless an obstacle kept it 0.5 m or more away. Of
        places that are the same node only the first one is kept. A node that is visited again keeps
        the places of its first visit, because maps refer to them.
        """
        floor: Any = self._simulator.floor(self._envs[agent].current_episodes()[0].scan)
        node = int(self._aims[agent])
        away = np.linalg.norm(self.maps.geometry.positions[node] - position)
        if node < 0 or away >= SAME_PLACE:
            node = self.maps.find(agent, position, floor)
        self._is_first[agent] = not self.maps.visited[node]
        if not self._is_first[agent]:
            return node
        self.maps.geometry.positions[node] = position
        headings, distances = self._places[agent]
        around: dict[int, int] = {}
        for k, place in enumerate(place_positions(floor, position, self._places[agent])):
            around.setdefault(self.maps.find(agent, place, floor), k)
        around.pop(node, None)
        kept = list(around.values())
        self._places[agent] = Places(headings[kept], distances[kept])
        self.maps.visit(node, position, *self._places[agent], list(around))
        return node
