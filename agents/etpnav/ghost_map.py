"""GhostMap: the places that an agent has visited in continuous space, and those it has only seen.

ETPNav 8dec13a `vlnce_baselines/models/graph_utils.py: GraphMap` and
`vlnce_baselines/ss_trainer_ETP.py: RLTrainer._nav_gmap_variable`. Positions are metres in the axes
of the navigation graphs (z up); headings are radians clockwise from +y.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from clipnav.agents.etpnav.settings import Elevation, GhostMapConfig

# Scales of the position features and of the distances between tokens: metres, and nodes of a path.
_METRES, _STEPS = 30.0, 10.0
_STOP_POSITION = 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0


@dataclass
class Ghost:
    """A place that has been seen but not visited.

    Attributes:
        sightings: Its position in each sighting, (3,).
        ends: Where a straight walk to it really ends, in each sighting, for the teacher.
        fronts: Node from which it was seen, in each sighting.
        tokens: Its panorama token among all tokens of the episode, in each sighting.
    """

    sightings: list[np.ndarray] = field(default_factory=list)
    ends: list[np.ndarray] = field(default_factory=list)
    fronts: list[int] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)

    @property
    def position(self) -> np.ndarray:
        """(3,) mean position of the sightings."""
        return np.mean(self.sightings, axis=0)


class GhostTokens(NamedTuple):
    """Map tokens of one agent: [stop], nodes in the order of their visits, ghosts.

    Attributes:
        steps: (N,) int64 step of the visit, from 1; 0 for [stop] and ghosts.
        positions: (N, 7) float32 position features, see `GhostMap.tokens`.
        distances: (N, N) float32 walked distances / 30 m; 0 for [stop].
        visited: (N,) bool, the nodes.
        weights: (N, T) float32, shares of the T panorama tokens of the episode in the features.
    """

    steps: np.ndarray
    positions: np.ndarray
    distances: np.ndarray
    visited: np.ndarray
    weights: np.ndarray


class GhostMap:
    """Map of one episode. The place of each decision is a new node, even if it is an old one.

    Attributes:
        nodes: Positions (3,) of the nodes.
        ghosts: Ghosts by number, in the order of first sight.
        edges: Length in metres of each edge, by its nodes.
        distances: (V, V) metres of the shortest known walks between nodes.
    """

    def __init__(self, config: GhostMapConfig) -> None:
        self.nodes: list[np.ndarray] = []
        self.ghosts: dict[int, Ghost] = {}
        self.edges: dict[tuple[int, int], float] = {}
        self.distances = np.zeros((0, 0))
        self._next = np.zeros((0, 0), int)  # node after the row's on the walk to the column's
        self._config = config
        self._seen = 0
        self._tokens: list[slice] = []  # panorama tokens of each node

    def visit(
        self,
        position: np.ndarray,
        previous: int | None,
        candidates: np.ndarray,
        ends: np.ndarray,
        num_tokens: int,
    ) -> None:
        """Add the current place and the waypoints around it.

        A waypoint within `merge_distance` of a node adds an edge, one within it of a ghost is
        another sighting of that ghost, and any other is a new ghost.

        Args:
            position: (3,) current position.
            previous: Node from which the agent came; None at the start.
            candidates: (K, 3) positions of the waypoints.
            ends: (K, 3) where straight walks to the waypoints end.
            num_tokens: Number of panorama tokens here, the waypoints first.
        """
        here = len(self.nodes)
        first = self._tokens[-1].stop if self._tokens else 0
        self._tokens.append(slice(first, first + num_tokens))
        self.nodes.append(position)
        if previous is not None:
            self._connect(previous, here)
        for rank, (candidate, end) in enumerate(zip(candidates, ends, strict=True)):
            node = self._nearest(candidate, dict(enumerate(self.nodes)))
            if node is not None:
                self._connect(here, node)
                continue
            known = {n: g.position for n, g in self.ghosts.items()} if self._config.merges else {}
            number = self._nearest(candidate, known)
            if number is None:
                number, self._seen = self._seen, self._seen + 1
                self.ghosts[number] = Ghost()
            ghost = self.ghosts[number]
            ghost.sightings.append(candidate)
            ghost.ends.append(end)
            ghost.fronts.append(here)
            ghost.tokens.append(first + rank)
        self._find_paths()

    def choose(self, number: int) -> tuple[list[int], Ghost]:
        """Return the nodes on the way to a ghost, and the ghost, which becomes a place to visit.

        The last one of the current node and these nodes is the ghost's nearest front.
        """
        ghost = self.ghosts[number]
        if not self._config.keeps:
            del self.ghosts[number]
        return self.path(self.front(ghost)[0]), ghost

    def front(self, ghost: Ghost) -> tuple[int, float]:
        """Return the front that is nearest to a ghost, and their straight distance in metres."""
        position = ghost.position
        away = [float(np.linalg.norm(self.nodes[front] - position)) for front in ghost.fronts]
        best = int(np.argmin(away))
        return ghost.fronts[best], away[best]

    def path(self, node: int) -> list[int]:
        """Return the nodes of the shortest known walk after the current node, to another one."""
        at, nodes = len(self.nodes) - 1, []
        while at != node:
            at = int(self._next[at, node])
            nodes.append(at)
        return nodes

    def tokens(self, heading: float, elevation: Elevation) -> GhostTokens:
        """Return the map tokens for the agent at the current node.

        Position features are sine and cosine of the heading, clockwise from the agent's, and of the
        elevation; straight distance / 30 m; walked distance / 30 m; nodes of the walk / 10, both
        ends included. The heading of the current node itself is that of +y.

        Args:
            elevation: The original computes it from the offset along a horizontal axis, habitat's
                z; see `EtpNavNetworkConfig.elevation`.
        """
        count, ghosts = len(self.nodes), list(self.ghosts.values())
        fronts = [self.front(ghost) for ghost in ghosts]
        size = 1 + count + len(ghosts)
        # Each token is a node and a straight distance from it.
        anchors = np.array([*range(count), *(node for node, _ in fronts)], int)
        beyond = np.array([0.0] * count + [away for _, away in fronts])
        walked = self.distances[anchors[:, None], anchors] + beyond[:, None] + beyond
        np.fill_diagonal(walked, 0.0)
        distances = np.zeros((size, size), np.float32)
        distances[1:, 1:] = walked / _METRES
        here = count - 1
        hops = np.array([len(self.path(int(node))) + 1 for node in anchors]) + (
            np.arange(len(anchors)) >= count
        )
        places = np.array([*self.nodes, *(ghost.position for ghost in ghosts)])
        positions = np.empty((size, 7), np.float32)
        positions[0] = _STOP_POSITION
        offsets = places - self.nodes[here]
        east, north, up = offsets.T
        length = np.maximum(np.linalg.norm(offsets, axis=1), 1e-8)
        relative = np.arctan2(east, north) - heading
        sine = (-north if elevation == "published" else up) / length
        cosine = np.sqrt(np.maximum(1 - sine**2, 0.0))
        positions[1:, :4] = np.stack([np.sin(relative), np.cos(relative), sine, cosine], axis=1)
        positions[1:, 4] = np.linalg.norm(places - self.nodes[here], axis=1) / _METRES
        positions[1:, 5] = (self.distances[here, anchors] + beyond) / _METRES
        positions[1:, 6] = hops / _STEPS
        steps = np.zeros(size, np.int64)
        steps[1 : 1 + count] = np.arange(1, 1 + count)
        weights = np.zeros((size, self._tokens[-1].stop), np.float32)
        for row, part in enumerate(self._tokens, 1):
            weights[row, part] = 1 / (part.stop - part.start)
        for row, ghost in enumerate(ghosts, 1 + count):
            weights[row, ghost.tokens] = 1 / len(ghost.tokens)
        return GhostTokens(steps, positions, distances, steps > 0, weights)

    def _connect(self, one: int, other: int) -> None:
        if one != other:
            key = min(one, other), max(one, other)
            self.edges[key] = float(np.linalg.norm(self.nodes[one] - self.nodes[other]))

    def _nearest(self, position: np.ndarray, places: dict[int, np.ndarray]) -> int | None:
        """Return the nearest of some places within `merge_distance`, None if there is none."""
        if not places:
            return None
        away = np.linalg.norm(np.array(list(places.values())) - position, axis=1)
        best = int(away.argmin())
        return list(places)[best] if away[best] <= self._config.merge_distance else None

    def _find_paths(self) -> None:
        """Compute the shortest walks between all nodes (Floyd and Warshall)."""
        count = len(self.nodes)
        distances = np.full((count, count), np.inf)
        following = np.tile(np.arange(count), (count, 1))
        np.fill_diagonal(distances, 0.0)
        for (one, other), length in self.edges.items():
            distances[one, other] = distances[other, one] = length
        for middle in range(count):
            through = distances[:, middle, None] + distances[middle]
            shorter = through < distances
            distances = np.where(shorter, through, distances)
            following = np.where(shorter, following[:, middle, None], following)
        self.distances, self._next = distances, following
