"""NavGraph: the navigation graph of one building, with distances and shortest paths."""

from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from connectivity import CONNECTIVITY_DIR, read_connectivity

if TYPE_CHECKING:
    import networkx


class NavGraph:
    """The viewpoints of one building that an agent can stand on, and the edges between them.

    Viewpoints are those marked `included`; two are neighbours when one is `unobstructed` from the
    other. An edge is as long as the straight line between its ends.

    Attributes:
        scan: Name of the building.
        viewpoint_ids: N names, in the order of the connectivity file.
        record_indices: (N,) place of each viewpoint in the connectivity file (MatterSim's `ix`).
        positions: (N, 3) metres, z up.
        adjacency: (N, N) bool.
    """

    def __init__(self, scan: str, records: Sequence[dict[str, Any]]) -> None:
        self.scan = scan
        included = np.array([record["included"] for record in records], dtype=bool)
        self.record_indices = np.flatnonzero(included)
        self.viewpoint_ids = tuple(records[int(i)]["image_id"] for i in self.record_indices)
        poses = np.array([record["pose"] for record in records], dtype=np.float64)
        self.positions = poses.reshape(-1, 4, 4)[included, :3, 3]
        unobstructed = np.array([record["unobstructed"] for record in records], dtype=bool)
        self.adjacency = unobstructed[np.ix_(included, included)]
        np.fill_diagonal(self.adjacency, False)
        self._indices = {viewpoint: i for i, viewpoint in enumerate(self.viewpoint_ids)}

    @classmethod
    def load(cls, scan: str, connectivity_dir: str | Path | None = None) -> "NavGraph":
        """Read the graph of a scan.

        Loading the same unchanged file again returns the same graph.

        Args:
            scan: Name of the building.
            connectivity_dir: Folder of `<scan>_connectivity.json`; the built-in houses' when None.

        Raises:
            FileNotFoundError: There is no graph of that scan.
            ValueError: The file is damaged.
        """
        directory = Path(connectivity_dir or CONNECTIVITY_DIR).resolve()
        path = directory / f"{scan}_connectivity.json"
        if not path.is_file():
            read_connectivity(scan, directory)  # raises the error that names the remedy
        status = path.stat()
        return _load(scan, directory, status.st_mtime_ns, status.st_size)

    def __len__(self) -> int:
        return len(self.viewpoint_ids)

    def __contains__(self, viewpoint: object) -> bool:
        return viewpoint in self._indices

    def __repr__(self) -> str:
        edges = int(self.adjacency.sum()) // 2
        return f"NavGraph({self.scan!r}, viewpoints={len(self)}, edges={edges})"

    def index(self, viewpoint: str) -> int:
        """Row of a viewpoint in `viewpoint_ids`.

        Raises:
            KeyError: The scan has no such viewpoint, or excludes it from navigation.
        """
        if viewpoint not in self._indices:
            raise KeyError(
                f"scan '{self.scan}' has no viewpoint '{viewpoint}' that one can stand on"
            )
        return self._indices[viewpoint]

    def neighbours(self, viewpoint: str) -> tuple[str, ...]:
        """Viewpoints one edge away, in the order of the connectivity file."""
        row = self.adjacency[self.index(viewpoint)]
        return tuple(self.viewpoint_ids[i] for i in np.flatnonzero(row))

    def geodesic(self, start: str, goal: str) -> float:
        """Length of the shortest path in metres; infinite if none joins the two."""
        return float(self.distances[self.index(start), self.index(goal)])

    def next_hop(self, viewpoint: str, goal: str) -> str:
        """Next viewpoint on the shortest path to the goal; the goal itself when there already.

        Raises:
            ValueError: No path joins the two.
        """
        hop = self.next_hops[self.index(viewpoint), self.index(goal)]
        if hop < 0:
            raise ValueError(f"scan '{self.scan}': no path from '{viewpoint}' to '{goal}'")
        return self.viewpoint_ids[hop]

    def shortest_path(self, start: str, goal: str) -> list[str]:
        """Viewpoints of the shortest path, both ends included.

        Raises:
            ValueError: No path joins the two.
        """
        path = [start]
        while path[-1] != goal:
            path.append(self.next_hop(path[-1], goal))
        return path

    def path_length(self, path: Sequence[str]) -> float:
        """Sum in metres of the geodesic distances between consecutive viewpoints."""
        nodes = [self.index(viewpoint) for viewpoint in path]
        return float(self.distances[nodes[:-1], nodes[1:]].sum())

    def to_networkx(self) -> "networkx.Graph":
        """Copy as a networkx graph: node attribute `position`, edge attribute `weight` (metres)."""
        import networkx

        graph = networkx.Graph(scan=self.scan)
        for viewpoint, position in zip(self.viewpoint_ids, self.positions, strict=True):
            graph.add_node(viewpoint, position=position.copy())
        for i, j in np.argwhere(np.triu(self.adjacency)):
            ends = self.viewpoint_ids[i], self.viewpoint_ids[j]
            graph.add_edge(*ends, weight=float(self.edge_lengths[i, j]))
        return graph

    @cached_property
    def edge_lengths(self) -> np.ndarray:
        """(N, N) metres between neighbours, 0 elsewhere."""
        offsets = self.positions[:, None] - self.positions[None]
        return np.where(self.adjacency, np.linalg.norm(offsets, axis=-1), 0.0)

    @cached_property
    def distances(self) -> np.ndarray:
        """(N, N) geodesic distances in metres, infinite between unconnected viewpoints."""
        return self._shortest_paths[0]

    @cached_property
    def next_hops(self) -> np.ndarray:
        """(N, N) row of the next viewpoint from row i to column j; i itself if i is j, else -1.

        Of several shortest paths always the same one is taken.
        """
        return self._shortest_paths[1]

    @cached_property
    def _shortest_paths(self) -> tuple[np.ndarray, np.ndarray]:
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import dijkstra

        rows, columns = np.nonzero(self.adjacency)
        # An explicit csr keeps edges of length 0 (two viewpoints at one place) as edges.
        lengths = csr_array(
            (self.edge_lengths[rows, columns], (rows, columns)), shape=self.adjacency.shape
        )
        distances, predecessors = dijkstra(lengths, directed=True, return_predecessors=True)
        # From goal to v the step before v is, in an undirected graph, the next step from v.
        next_hops = np.where(predecessors < 0, -1, predecessors).T.astype(np.int32)
        np.fill_diagonal(next_hops, np.arange(len(self)))
        # Both directions of a path may differ in the last bit; one table serves both.
        return np.minimum(distances, distances.T), next_hops


@lru_cache(maxsize=512)
def _load(scan: str, directory: Path, modified_ns: int, size: int) -> NavGraph:
    """Graph of a file in a given state; the state is part of the key, not of the result."""
    return NavGraph(scan, read_connectivity(scan, directory))
