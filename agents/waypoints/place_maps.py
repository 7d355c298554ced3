"""PlaceMaps: the places that agents have seen, in the tables that map agents read."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from clipnav.agents.maps.geometry import MapGeometry
from clipnav.envs.continuous.floor import ContinuousFloor
from clipnav.envs.graphs.candidates import start_views
from clipnav.storage.features.view_grid import NUM_VIEWS, VIEW_ELEVATIONS, VIEW_HEADINGS

# Metres within which two places are one: `loc_noise` of ETPNav (8dec13a), R2R-CE.
SAME_PLACE = 0.5


class _Numbers(NamedTuple):
    """What map agents use of `NavWorld`: the number (V,) of each node among those of its agent."""

    locals: np.ndarray


class PlaceMaps:
    """Nodes of N agents: the places that they have visited or seen, and what is seen from there.

    A place within 0.5 m of a node that a straight walk reaches is that node. A node stays where it
    was first seen until it is visited, and then is where the agent stood: it is always on the
    floor.

    Attributes:
        geometry: Tables of the nodes, as of the viewpoints of a world. Node k of agent a has the
            index `a * most + k`.
        features: (N * most, 36, D) features of the views from the visited nodes.
        visited: (N * most,) bool.
    """

    def __init__(self, agents: int, most: int, places: int, width: int) -> None:
        size = agents * most
        world: Any = _Numbers(np.tile(np.arange(most), agents))
        self.geometry = MapGeometry(
            world,
            np.zeros((size, 3)),
            np.zeros((size, places)),
            np.full((size, places), -1),
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
            if _sees(floor, known[number], position):
                return int(first + number)
        node = int(first + self._counts[agent])
        self.geometry.positions[node] = position
        self._counts[agent] += 1
        return node

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
            headings: (K,) headings of the places around it, in different views.
            distances: (K,) metres.
        """
        geometry, count = self.geometry, len(nodes)
        self.visited[node] = True
        geometry.positions[node] = position
        geometry.candidates[node] = -1
        geometry.candidates[node, :count] = nodes
        geometry.edge_lengths[node] = 0.0
        geometry.edge_lengths[node, :count] = distances
        geometry.candidate_counts[node] = count
        facing = start_views(headings)
        views = np.concatenate([facing, np.setdiff1d(np.arange(NUM_VIEWS), facing)])
        geometry.token_views[node] = views
        geometry.token_headings[node] = VIEW_HEADINGS[views]
        geometry.token_headings[node, :count] = headings
        geometry.token_elevations[node] = VIEW_ELEVATIONS[views]


def _sees(floor: ContinuousFloor, start: np.ndarray, end: np.ndarray) -> bool:
    """Return whether a straight walk leads from a position (3,) to another one."""
    east, north = (end - start)[:2]
    free = floor.straight_walks(start, np.array([np.arctan2(east, north)]))[0]
    return bool(free >= np.hypot(east, north) - 1e-6)
