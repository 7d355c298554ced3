"""TopologicalMaps: the part of the navigation graph that each agent of a batch has seen."""

from typing import Any, NamedTuple

import numpy as np

from clipnav.agents.acting.rollout import STOP
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.storage.features.view_grid import VIEW_ELEVATIONS, VIEW_HEADINGS

START = 0  # slot of the first viewpoint of an episode
_FIRST_CAPACITY = 32
# Scales of the position features (DUET `models/graph_utils.py`): metres, metres, hops.
_SCALES = 30.0, 30.0, 10.0
_STOP_POSITION = 0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0
_DIGITS = 4


class MapTokens(NamedTuple):
    """Map tokens of R episodes: [stop], visited nodes, unvisited nodes, padding.

    Visited and unvisited nodes are in the order of first sight (DUET `r2r/agent.py:
    _nav_gmap_variable`).

    Attributes:
        slots: (R, N) slot of each node in the map; -1 for [stop] and padding.
        mask: (R, N) bool, False for padding.
        visited: (R, N) bool, whether the node has been visited.
        steps: (R, N) step of the last visit, from 1; 0 for all other tokens.
        positions: (R, N, 7) float32 position features, see `TopologicalMaps.position_features`.
        distances: (R, N, N) float32 map distances in metres; 0 for [stop] and padding.
    """

    slots: np.ndarray
    mask: np.ndarray
    visited: np.ndarray
    steps: np.ndarray
    positions: np.ndarray
    distances: np.ndarray


class TopologicalMaps:
    """Known maps of B episodes as arrays.

    A node of a map is a viewpoint that was visited or was a candidate of a visited viewpoint. Its
    slot is its rank in the order of first sight. Edges are the sightings from visited viewpoints,
    and shortest paths have visited viewpoints only between their ends. Arrays have room for S
    slots, which grows when necessary; unused slots have node -1.

    Attributes:
        nodes: (B, S) int64 node in the world.
        counts: (B,) number of nodes.
        visit_steps: (B, S) step of the last visit of each node, from 1; 0 before the first.
        current: (B,) slot of the agent.
        distances: (B, S, S) float64 length of the shortest known path in metres; infinite
            without a path.
        next_hops: (B, S, S) int32 slot after the row's on the path to the column's; -1 without a
            path.
        hops: (B, S, S) int32 number of edges of that path.
        sightings: (B, S, S) int16 rank of the column's node among the candidates of the row's; -1
            if the row's node is not visited or has no such candidate.
    """

    def __init__(self, geometry: MapGeometry, num_episodes: int) -> None:
        """Build empty maps."""
        self.geometry = geometry
        world, size = geometry.world, num_episodes
        self._slots = np.full((size, int(world.locals.max()) + 1), -1, np.int64)
        self._steps = np.zeros(size, np.int64)
        self.counts = np.zeros(size, np.int64)
        self.current = np.zeros(size, np.int64)
        self._allocate(_FIRST_CAPACITY)

    def visit(self, rows: np.ndarray, nodes: np.ndarray) -> None:
        """Add the viewpoints where R agents are now, with their candidates.

        Args:
            rows: (R,) episodes, each at most once.
            nodes: (R,) nodes in the world.
        """
        self._steps[rows] += 1
        candidates = self.geometry.candidates[nodes]  # (R, C)
        slots = self._add(rows, np.column_stack([nodes, candidates]))
        here = slots[:, 0]
        self.current[rows] = here
        self.visit_steps[rows, here] = self._steps[rows]

        row, rank = np.nonzero(candidates >= 0)
        episode, near, far = rows[row], here[row], slots[row, rank + 1]
        lengths = self.geometry.edge_lengths[nodes[row], rank]
        self.sightings[episode, near, far] = rank
        shorter = lengths < self.distances[episode, near, far]
        episode, near, far = episode[shorter], near[shorter], far[shorter]
        for one, other in ((near, far), (far, near)):
            self.distances[episode, one, other] = lengths[shorter]
            self.next_hops[episode, one, other] = other
            self.hops[episode, one, other] = 1
        self._relax(rows, here)

    def tokens(self, rows: np.ndarray, views: np.ndarray) -> MapTokens:
        """Return the map tokens of R agents at their current viewpoints.

        Args:
            rows: (R,) episodes.
            views: (R,) views 0..35 that the agents face.
        """
        counts = self.counts[rows, None]
        width = int(counts.max())
        steps = self.visit_steps[rows, :width]
        # A stable sort keeps the order of first sight within each group.
        groups = np.where(np.arange(width) < counts, steps == 0, 2)
        order = np.argsort(groups, axis=1, kind="stable")
        slots = np.full((len(rows), width + 1), -1)
        slots[:, 1:] = order
        mask = np.arange(width + 1) <= counts
        slots[~mask] = -1
        steps = self.visit_steps[rows[:, None], slots]
        positions = self.position_features(rows, slots, views)
        positions[:, 0] = _STOP_POSITION
        starts = (rows[:, None] * self.nodes.shape[1] + slots) * self.nodes.shape[1]
        distances = self.distances.take(starts[:, :, None] + slots[:, None], mode="wrap")
        padding = slots < 0
        distances[padding] = 0.0
        distances.transpose(0, 2, 1)[padding] = 0.0
        return MapTokens(slots, mask, steps > 0, steps, positions, distances.astype(np.float32))

    def candidate_slots(self, rows: np.ndarray) -> np.ndarray:
        """Return the (R, C) slots of the candidates of the current viewpoints; -1 for padding.

        C is the largest number of candidates of these viewpoints.
        """
        nodes = self.nodes[rows, self.current[rows]]
        width = int(self.geometry.candidate_counts[nodes].max(initial=0))
        return self._lookup(rows, self.geometry.candidates[nodes, :width])

    def slots_of(self, rows: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Return the (R,) slots of nodes (R,) of the world; -1 for a node that was never seen."""
        return self._lookup(rows, nodes[:, None])[:, 0]

    def position_features(
        self, rows: np.ndarray, slots: np.ndarray, views: np.ndarray
    ) -> np.ndarray:
        """Describe where nodes are, seen from the current viewpoints.

        Args:
            rows: (R,) episodes.
            slots: (R, N) slots; -1 gives zeros.
            views: (R,) views 0..35 that the agents face.

        Returns:
            (R, N, 7) float32: sine and cosine of the heading and of the elevation, both relative
            to the agent's view; straight distance / 30 m; map distance / 30 m; hops / 10. For the
            current viewpoint itself the heading before subtraction is 0.
        """
        here = self.current[rows]
        origins = self.geometry.positions[self.nodes[rows, here]]  # (R, 3)
        offsets = self.geometry.positions[self.nodes[rows[:, None], slots]] - origins[:, None]
        east, north, up = offsets[..., 0], offsets[..., 1], offsets[..., 2]
        flat = np.hypot(east, north)
        length = np.hypot(flat, up)
        # Sines and cosines are quotients of lengths, which is faster than angles.
        features = np.empty((*slots.shape, 7), np.float32)
        parts = ((east, north, flat, VIEW_HEADINGS), (up, flat, length, VIEW_ELEVATIONS))
        for column, (opposite, adjacent, hypotenuse, angles) in zip((0, 2), parts, strict=True):
            is_positive = hypotenuse > 0
            scale = 1.0 / np.where(is_positive, hypotenuse, 1.0)
            sine, cosine = opposite * scale, np.where(is_positive, adjacent * scale, 1.0)
            turn = angles[views][:, None]
            features[..., column] = sine * np.cos(turn) - cosine * np.sin(turn)
            features[..., column + 1] = cosine * np.cos(turn) + sine * np.sin(turn)
        flat_slots = (rows * self.nodes.shape[1] + here)[:, None] * self.nodes.shape[1] + slots
        scales = (length, self.distances.take(flat_slots), self.hops.take(flat_slots))
        for column, (values, scale) in enumerate(zip(scales, _SCALES, strict=True), start=4):
            np.divide(values, scale, out=features[..., column], casting="same_kind")
        features[slots < 0] = 0.0
        return features

    def routes(self, rows: np.ndarray, slots: np.ndarray) -> np.ndarray:
        """Return the shortest known paths from the current viewpoints to R nodes.

        Args:
            rows: (R,) episodes.
            slots: (R,) slots of the targets.

        Returns:
            (R, H) nodes in the world after the current one, padded with -1; H is the largest
            number of hops.
        """
        at = self.current[rows]
        routes = []
        while (moving := at != slots).any():
            at = np.where(moving, self.next_hops[rows, at, slots], at)
            routes.append(np.where(moving, self.nodes[rows, at], -1))
        return np.stack(routes, 1) if routes else np.zeros((len(rows), 0), np.int64)

    def _add(self, rows: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        """Give nodes (R, M), -1 for padding, a slot if they have none; return slots (R, M)."""
        slots = self._lookup(rows, nodes)
        new = (slots < 0) & (nodes >= 0)
        ranks = self.counts[rows, None] + np.cumsum(new, 1) - 1
        slots = np.where(new, ranks, slots)
        self.counts[rows] += new.sum(1)
        # One slot stays free, so that index -1 is never a node.
        if self.counts.max() >= self.nodes.shape[1]:
            names = ("nodes", "visit_steps", "distances", "next_hops", "hops", "sightings")
            kept = {name: getattr(self, name) for name in names}
            self._allocate(max(int(self.counts.max()) + 1, 2 * self.nodes.shape[1]))
            for name, array in kept.items():
                getattr(self, name)[tuple(map(slice, array.shape))] = array
        row, column = np.nonzero(new)
        episode, node = rows[row], nodes[row, column]
        self._slots[episode, self.geometry.world.locals[node]] = slots[row, column]
        self.nodes[episode, slots[row, column]] = node
        return slots

    def _lookup(self, rows: np.ndarray, nodes: np.ndarray) -> np.ndarray:
        slots = self._slots[rows[:, None], self.geometry.world.locals[nodes]]
        return np.where(nodes >= 0, slots, -1)

    def _relax(self, rows: np.ndarray, here: np.ndarray) -> None:
        """Shorten paths (R, S, S) through newly visited slots (R,), as Floyd and Warshall do.

        All new edges are incident to the new slot, so a single pass gives all shortest paths.
        """
        width, capacity = int(self.counts[rows].max()), self.nodes.shape[1]
        each = np.arange(len(rows))
        distances = self.distances[rows, :width, :width]
        to_here, from_here = distances[each, :, here], distances[each, here]  # (R, S)
        through = to_here[:, :, None] + from_here[:, None]
        shorter = np.flatnonzero(through < distances)
        if not shorter.size:
            return
        pair, end = np.divmod(shorter, width)
        row, start = np.divmod(pair, width)
        first = rows[row] * capacity  # flat indices are much faster than three arrays
        before = (first + start) * capacity
        after = (first + here[row]) * capacity
        self.distances.ravel()[before + end] = through.ravel()[shorter]
        self.next_hops.ravel()[before + end] = self.next_hops.ravel()[before + here[row]]
        hops = self.hops.ravel()
        hops[before + end] = hops[before + here[row]] + hops[after + end]

    def _allocate(self, capacity: int) -> None:
        """Make empty arrays with room for a number of slots."""
        row = len(self.counts), capacity
        square = *row, capacity
        self.nodes = np.full(row, -1)
        self.visit_steps = np.zeros(row, np.int64)
        self.distances = np.full(square, np.inf)
        self.next_hops = np.full(square, -1, np.int32)
        self.hops = np.zeros(square, np.int32)
        self.sightings = np.full(square, -1, np.int16)
        diagonal = np.arange(capacity)
        self.distances[:, diagonal, diagonal] = 0.0
        self.next_hops[:, diagonal, diagonal] = diagonal


def action_probabilities(
    maps: TopologicalMaps, rows: np.ndarray, slots: np.ndarray, chances: np.ndarray
) -> np.ndarray:
    """Return the probabilities (R, C + 1) of stop and of the candidates of R agents.

    That of a candidate is the sum over all nodes whose route starts there. Stop is 0.

    Args:
        rows: (R,) episodes.
        slots: (R, N) slots; -1 for padding.
        chances: (R, N) probability of going to each.
    """
    candidates, here = maps.candidate_slots(rows), maps.current[rows]
    first = maps.next_hops[rows[:, None], here[:, None], slots]  # (R, N)
    same = (first[:, :, None] == candidates[:, None]) & (slots >= 0)[:, :, None]
    same &= (candidates >= 0)[:, None]
    actions = np.zeros((len(rows), candidates.shape[1] + 1))
    actions[:, STOP + 1 :] = (same * chances[:, :, None]).sum(1)
    return actions


def known_map(
    maps: TopologicalMaps,
    row: int,
    chances: np.ndarray,
    target: int,
    ends: bool,
    gate: float | None = None,
    global_scores: np.ndarray | None = None,
) -> dict[str, Any]:
    """Describe the map of one agent.

    Args:
        chances: (S,) probability of each slot; NaN for nodes that cannot be chosen.
        global_scores: (S,) scores of its global branch.
    """
    ids = maps.geometry.world.viewpoint_ids
    nodes = []
    for slot in range(int(maps.counts[row])):
        node: dict[str, Any] = {"viewpoint": ids[maps.nodes[row, slot]]}
        node["visited"] = bool(maps.visit_steps[row, slot])
        if not np.isnan(chances[slot]):
            node["probability"] = round(min(float(chances[slot]), 1.0), _DIGITS)
            if global_scores is not None:
                node["global_score"] = round(float(global_scores[slot]), _DIGITS)
        nodes.append(node)
    stays = target == maps.current[row]
    return {
        "nodes": nodes,
        "gate": None if gate is None else round(float(gate), _DIGITS),
        "target": None if stays else ids[maps.nodes[row, target]],
        "ends": bool(ends),
    }
