"""NavWorld: many navigation graphs flattened into arrays; a step of many agents is a gather.

A node is a viewpoint's number among the V viewpoints of all graphs, scan after scan.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs.graphs.candidates import candidate_edges
from envs.graphs.nav_graph import NavGraph
from storage.features.view_grid import NUM_HEADINGS, STEP

if TYPE_CHECKING:
    from storage.features.store import FeatureStore


class NavWorld:
    """Arrays over all viewpoints of several buildings.

    Actions count from 0, which stops; action k > 0 goes to candidate k - 1 in EnvDrop's order.

    Attributes:
        graphs: By scan.
        viewpoint_ids: (V,) object array of names.
        scan_names: (V,) object array of the scan of each viewpoint.
        targets: (V, K) int32 node where each action leads; actions that lead nowhere stay.
        mask: (V, K) int8, 1 where an action can be taken.
        views: (V, K) int32 view 0..35 that looks at the candidate, 0 for stop and padding.
        angles: (V, 12, K, 4) float32 [sin h, cos h, sin e, cos e] of the candidates, their
            heading relative to one of the 12 headings; zeros for stop and padding.
        distances: (P,) float64 geodesic metres of all pairs of viewpoints of one scan: from node to
            goal at `pair_starts[node] + locals[goal]`.
        teachers: (P,) uint8 action along the shortest path; 0, stop, at the goal.
        pair_starts: (V,) int64.
        locals: (V,) int64 place of each viewpoint in its scan.
    """

    def __init__(self, graphs: Sequence[NavGraph], num_actions: int | None = None) -> None:
        """Flatten graphs.

        Args:
            graphs: Of different scans.
            num_actions: K; one more than the largest number of neighbours when None.

        Raises:
            ValueError: A viewpoint has more neighbours than K - 1.
        """
        self.graphs = {graph.scan: graph for graph in graphs}
        needed = 1 + max_neighbours(graphs)
        self.num_actions = needed if num_actions is None else num_actions
        if self.num_actions < needed:
            raise ValueError(f"{needed} actions are needed, but num_actions is {num_actions}")
        sizes = [len(graph) for graph in graphs]
        self._offsets = dict(zip(self.graphs, np.cumsum([0, *sizes]).tolist(), strict=False))
        self.viewpoint_ids = np.array([v for g in graphs for v in g.viewpoint_ids], dtype=object)
        self.scan_names = np.array([g.scan for g in graphs for _ in g.viewpoint_ids], dtype=object)
        self._build_candidates(graphs)
        self._build_pairs(graphs, sizes)

    @classmethod
    def load(cls, scans: Sequence[str], connectivity_dir: Path) -> "NavWorld":
        """Flatten the graphs of some scans.

        K comes from all graphs in the folder, so that every split of a world has the same actions.

        Raises:
            FileNotFoundError: There is no graph of a scan.
            ValueError: A file in the folder is damaged.
        """
        suffix = "_connectivity.json"
        present = {path.name.removesuffix(suffix) for path in connectivity_dir.glob(f"*{suffix}")}
        graphs = {
            scan: NavGraph.load(scan, connectivity_dir) for scan in sorted(present.union(scans))
        }
        num_actions = 1 + max_neighbours(list(graphs.values()))
        return cls([graphs[scan] for scan in scans], num_actions)

    def __len__(self) -> int:
        return len(self.viewpoint_ids)

    def node(self, scan: str, viewpoint: str) -> int:
        """Node of a viewpoint.

        Raises:
            KeyError: No such viewpoint.
        """
        if scan not in self.graphs:
            raise KeyError(f"scan '{scan}' is not loaded")
        return self._offsets[scan] + self.graphs[scan].index(viewpoint)

    def store_rows(self, store: "FeatureStore") -> np.ndarray:
        """(V,) row of each viewpoint in a feature store.

        Raises:
            KeyError: The store lacks a viewpoint.
        """
        keys = zip(self.scan_names, self.viewpoint_ids, strict=True)
        return np.array([store.row(scan, viewpoint) for scan, viewpoint in keys])

    def distance(self, nodes: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Geodesic distances in metres; arguments broadcast and pair nodes of the same scan."""
        return self.distances[self.pair_starts[nodes] + self.locals[goals]]

    def teacher_action(self, nodes: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """(...) int64 action along the shortest path to the goal; 0, stop, at the goal."""
        return self.teachers[self.pair_starts[nodes] + self.locals[goals]].astype(np.int64)

    def _build_candidates(self, graphs: Sequence[NavGraph]) -> None:
        shape = len(self), self.num_actions
        offsets = [self._offsets[graph.scan] for graph in graphs]
        origins, targets = np.concatenate(
            [graph.edges + offset for graph, offset in zip(graphs, offsets, strict=True)], axis=1
        )
        positions = np.concatenate([graph.positions for graph in graphs])
        edges = candidate_edges(positions, origins, targets)
        self._edges = edges.origins, 1 + edges.places
        self.targets = np.repeat(np.arange(len(self), dtype=np.int32)[:, None], shape[1], axis=1)
        self.targets[self._edges] = edges.targets
        self.mask = np.zeros(shape, dtype=np.int8)
        self.mask[:, 0] = 1
        self.mask[self._edges] = 1
        self.views = np.zeros(shape, dtype=np.int32)
        self.views[self._edges] = edges.views
        relative = edges.headings[:, None] - STEP * np.arange(NUM_HEADINGS)  # (M, 12)
        elevations = np.broadcast_to(edges.elevations[:, None], relative.shape)
        self.angles = np.zeros((len(self), NUM_HEADINGS, self.num_actions, 4), dtype=np.float32)
        self.angles[edges.origins, :, 1 + edges.places] = angles4(relative, elevations)

    def _build_pairs(self, graphs: Sequence[NavGraph], sizes: list[int]) -> None:
        """Tables over all pairs of viewpoints of one scan, scan after scan, in one flat array."""
        self.locals = np.concatenate([np.arange(size) for size in sizes])
        squares = np.cumsum([0, *(size * size for size in sizes)])
        self.pair_starts = np.concatenate(
            [first + size * np.arange(size) for first, size in zip(squares, sizes, strict=False)]
        )
        self.distances = np.concatenate([graph.distances.ravel() for graph in graphs])
        action_to = np.zeros(squares[-1], dtype=np.uint8)
        origins, actions = self._edges
        ends = self.targets[self._edges]
        action_to[self.pair_starts[origins] + self.locals[ends]] = actions
        rows = np.repeat(self.pair_starts, np.repeat(sizes, sizes))
        hops = np.concatenate([graph.next_hops.ravel() for graph in graphs])
        # No hop, -1, reads what lies before a row: nothing or another viewpoint's; hence the where.
        self.teachers = np.where(hops < 0, 0, action_to.take(rows + hops, mode="clip"))


def max_neighbours(graphs: Sequence[NavGraph]) -> int:
    """The largest number of neighbours of a viewpoint in these graphs."""
    return max(int(np.bincount(graph.edges[0], minlength=1).max()) for graph in graphs)


def angles4(heading: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """(..., 4) float32 [sin h, cos h, sin e, cos e] of angles (...) in radians."""
    parts = [np.sin(heading), np.cos(heading), np.sin(elevation), np.cos(elevation)]
    return np.stack(parts, axis=-1).astype(np.float32)
