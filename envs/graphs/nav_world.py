"""NavWorld: many navigation graphs flattened into arrays, so that a batched step is a gather.

A node is the index of a viewpoint among the V viewpoints of all graphs, scan after scan.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.storage.errors import UnknownNameError, UserError
from clipnav.storage.features.store_file import feature_key
from clipnav.storage.features.view_grid import NUM_HEADINGS, STEP

if TYPE_CHECKING:
    from clipnav.storage.features.store import FeatureStore


class NavWorld:
    """Arrays over all viewpoints of several buildings.

    Action 0 stops; action k > 0 moves to candidate k - 1 in EnvDrop's order. All arrays are
    read-only, because several environments share a world.

    Attributes:
        graphs: Navigation graph of each scan.
        viewpoint_ids: (V,) object array of viewpoint names.
        scan_names: (V,) object array of the scan of each viewpoint.
        targets: (V, K) int32 node that each action leads to; the node itself for masked actions.
        mask: (V, K) int8, 1 where an action is valid.
        views: (V, K) int32 view 0..35 that faces the candidate, 0 for stop and padding.
        distances: (P,) float64 geodesic metres of all pairs of viewpoints of one scan; the
            distance from node to goal is at `pair_starts[node] + locals[goal]`.
        teachers: (P,) uint8 action along the shortest path, same layout; 0 (stop) at the goal.
        pair_starts: (V,) int64 start of each node's row in the flat pair tables.
        locals: (V,) int64 index of each viewpoint within its scan.
    """

    def __init__(self, graphs: Sequence[NavGraph], num_actions: int | None = None) -> None:
        self.graphs = {graph.scan: graph for graph in graphs}
        needed = 1 + _max_neighbours(graphs)
        self.num_actions = needed if num_actions is None else num_actions
        if self.num_actions < needed:
            raise UserError(f"{needed} actions are needed, but num_actions is {num_actions}")
        sizes = [len(graph) for graph in graphs]
        self._offsets = dict(zip(self.graphs, np.cumsum([0, *sizes]).tolist(), strict=False))
        self.viewpoint_ids = np.array([v for g in graphs for v in g.viewpoint_ids], dtype=object)
        self.scan_names = np.array([g.scan for g in graphs for _ in g.viewpoint_ids], dtype=object)
        size, actions = len(self), self.num_actions
        self.targets = np.repeat(np.arange(size, dtype=np.int32)[:, None], actions, axis=1)
        self.mask = np.zeros((size, actions), dtype=np.int8)
        self.mask[:, 0] = 1
        self.views = np.zeros((size, actions), dtype=np.int32)
        directions: list[tuple[np.ndarray, ...]] = []
        for graph in graphs:
            first = self._offsets[graph.scan]
            nodes = slice(first, first + len(graph))
            edges = graph.candidates
            chosen = edges.origins, 1 + edges.ranks
            self.targets[nodes][chosen] = first + edges.targets
            self.mask[nodes][chosen] = 1
            self.views[nodes][chosen] = edges.views
            directions.append((first + chosen[0], chosen[1], edges.headings, edges.elevations))
        self._directions = tuple(map(np.concatenate, zip(*directions, strict=True)))

        # Flat tables over all pairs of viewpoints of one scan, scan after scan.
        self.locals = np.concatenate([np.arange(own) for own in sizes])
        squares = np.cumsum([0, *(own * own for own in sizes)])
        self.pair_starts = np.concatenate(
            [first + own * np.arange(own) for first, own in zip(squares, sizes, strict=False)]
        )
        self.distances = np.empty(squares[-1])
        actions_type = np.uint8 if self.num_actions <= 256 else np.uint16
        self.teachers = np.empty(squares[-1], dtype=actions_type)
        for graph, first in zip(graphs, squares.tolist(), strict=False):
            pairs = slice(first, first + len(graph) ** 2)
            self.distances[pairs] = graph.distances.ravel()
            self.teachers[pairs] = graph.teachers.ravel()

        for value in vars(self).values():
            if isinstance(value, np.ndarray):
                value.flags.writeable = False

    @classmethod
    def load(cls, scans: Sequence[str], connectivity_dir: Path) -> "NavWorld":
        """Flatten the graphs of some scans.

        K is computed from all graphs in the folder, so that every split of a world has the same
        action space.
        """
        suffix = "_connectivity.json"
        present = {path.name.removesuffix(suffix) for path in connectivity_dir.glob(f"*{suffix}")}
        graphs = {
            scan: NavGraph.load(scan, connectivity_dir) for scan in sorted(present.union(scans))
        }
        num_actions = 1 + _max_neighbours(list(graphs.values()))
        return cls([graphs[scan] for scan in scans], num_actions)

    def __len__(self) -> int:
        return len(self.viewpoint_ids)

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """Key `scan_viewpoint` of each of the V viewpoints, as in feature stores."""
        names = zip(self.scan_names, self.viewpoint_ids, strict=True)
        return tuple(feature_key(scan, viewpoint) for scan, viewpoint in names)

    @cached_property
    def valid(self) -> np.ndarray:
        """(V, K) bool, True where an action is valid."""
        return self.mask.view(bool)

    @cached_property
    def angles(self) -> np.ndarray:
        """(V, 12, K, 4) float32 [sin h, cos h, sin e, cos e] of the candidates.

        Headings are relative to each of the 12 headings; zeros for stop and padding.
        """
        nodes, actions, headings, elevations = self._directions
        relative = headings[:, None] - STEP * np.arange(NUM_HEADINGS)  # (M, 12)
        angles = np.zeros((len(self), NUM_HEADINGS, self.num_actions, 4), dtype=np.float32)
        angles[nodes, :, actions] = angles4(relative, elevations[:, None])
        angles.flags.writeable = False
        return angles

    @cached_property
    def candidate_directions(self) -> np.ndarray:
        """(V, K, 2) float64 absolute heading and elevation of the candidates in radians.

        Zeros for stop and padding.
        """
        nodes, actions, headings, elevations = self._directions
        directions = np.zeros((len(self), self.num_actions, 2))
        directions[nodes, actions] = np.stack([headings, elevations], axis=-1)
        directions.flags.writeable = False
        return directions

    @cached_property
    def candidate_ids(self) -> np.ndarray:
        """(V, K) object array of the viewpoint that each move leads to; "" for stop and padding."""
        ids = np.where(self.valid, self.viewpoint_ids[self.targets], "")
        ids[:, 0] = ""
        ids.flags.writeable = False
        return ids

    def node(self, scan: str, viewpoint: str) -> int:
        """Return the node of a viewpoint."""
        if scan not in self.graphs:
            raise UnknownNameError(f"scan '{scan}' is not loaded")
        return self._offsets[scan] + self.graphs[scan].index(viewpoint)

    def store_rows(self, store: "FeatureStore") -> np.ndarray:
        """Return the (V,) rows of all viewpoints in a feature store."""
        keys = zip(self.scan_names, self.viewpoint_ids, strict=True)
        return np.array([store.row(scan, viewpoint) for scan, viewpoint in keys])

    def distance(self, nodes: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Return geodesic distances in metres; nodes and goals broadcast, pairs share a scan."""
        return self.distances[self.pair_starts[nodes] + self.locals[goals]]

    def teacher_action(self, nodes: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Return the (...) int64 actions along the shortest path; 0 (stop) at the goal."""
        return self.teachers[self.pair_starts[nodes] + self.locals[goals]].astype(np.int64)


def node_routes(routes: ArrayLike, count: int) -> np.ndarray:
    """Return the routes (B, H) of B agents as an array of nodes, padded with -1."""
    nodes = np.asarray(routes)
    if nodes.ndim != 2 or len(nodes) != count or nodes.dtype.kind not in "iu":
        raise UserError(
            f"routes must be integers of shape ({count}, H), not {nodes.dtype} of shape "
            f"{nodes.shape}"
        )
    nodes = nodes.astype(np.int64)
    if (nodes < -1).any():
        raise UserError(f"routes contain the node {nodes.min()}; pad them with -1 at the end")
    return nodes


def route_moves(world: NavWorld, nodes: np.ndarray, routes: np.ndarray) -> np.ndarray:
    """Return the (B, H) int64 actions that follow routes, -1 after their ends.

    Args:
        nodes: (B,) start of each route.
        routes: (B, H) next nodes, padded with -1 at the end.
    """
    starts = np.column_stack([nodes, routes])[:, :-1]  # (B, H)
    moves = np.full(routes.shape, -1)
    row, hop = np.nonzero(routes >= 0)
    start, end = starts[row, hop], routes[row, hop]
    known = (start >= 0) & (start < len(world))
    origin = np.where(known, start, 0)
    possible = (world.targets[origin, 1:] == end[:, None]) & world.valid[origin, 1:]
    wrong = np.flatnonzero(~known | ~possible.any(1))
    if wrong.size:
        first = wrong[0]
        raise UserError(
            f"route of agent {row[first]}: node {end[first]} is not a neighbour of node "
            f"{start[first]}; give routes along the edges of the graph"
        )
    moves[row, hop] = 1 + possible.argmax(1)
    return moves


def _max_neighbours(graphs: Sequence[NavGraph]) -> int:
    """Return the largest number of neighbours of any viewpoint in the graphs."""
    return max(int(np.bincount(graph.edges[0], minlength=1).max()) for graph in graphs)


def angles4(heading: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Return (..., 4) float32 [sin h, cos h, sin e, cos e] of angles (...) in radians."""
    shape = np.broadcast_shapes(np.shape(heading), np.shape(elevation))
    angles = np.empty((*shape, 4), dtype=np.float32)
    for number, part in enumerate((heading, elevation)):
        angles[..., 2 * number], angles[..., 2 * number + 1] = np.sin(part), np.cos(part)
    return angles
