"""NavGraph: the navigation graph of one building, with distances and shortest paths."""

import json
from collections.abc import Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipnav.connectivity import CONNECTIVITY_DIR, read_connectivity
from clipnav.envs.graphs.graph_cache import read_tables, table_path, write_tables
from clipnav.envs.graphs.shortest_paths import all_pairs
from clipnav.storage.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    import networkx


class NavGraph:
    """The viewpoints of one building that an agent can occupy, and the edges between them.

    A viewpoint belongs to the graph if its record is `included`; two viewpoints are neighbours if
    one is `unobstructed` from the other. The length of an edge is the straight-line distance
    between its ends. All arrays are read-only.

    Attributes:
        scan: Name of the building.
        viewpoint_ids: N names, in the order of the connectivity file.
        record_indices: (N,) index of each viewpoint in the connectivity file (MatterSim's `ix`).
        positions: (N, 3) camera positions in metres, z up.
        heights: (N,) camera heights in metres above the floor.
        edges: (2, M) rows of the two ends of every directed edge, sorted; each edge appears in
            both directions.
    """

    def __init__(self, scan: str, records: Sequence[dict[str, Any]]) -> None:
        included = np.array([record["included"] for record in records], dtype=bool)
        record_indices = np.flatnonzero(included)
        poses = np.array([record["pose"] for record in records], dtype=np.float64)
        unobstructed = np.array([record["unobstructed"] for record in records], dtype=bool)
        adjacency = unobstructed[np.ix_(included, included)]
        np.fill_diagonal(adjacency, False)
        self._fill(
            scan,
            [records[int(i)]["image_id"] for i in record_indices],
            record_indices,
            poses.reshape(-1, 4, 4)[included, :3, 3],
            np.array([record["height"] for record in records], dtype=np.float64)[included],
            np.stack(np.nonzero(adjacency)),
        )

    def _fill(
        self,
        scan: str,
        viewpoint_ids: Sequence[str],
        record_indices: np.ndarray,
        positions: np.ndarray,
        heights: np.ndarray,
        edges: np.ndarray,
    ) -> None:
        self.scan = scan
        self.viewpoint_ids = tuple(viewpoint_ids)
        self.record_indices = _read_only(record_indices)
        self.positions = _read_only(positions)
        self.heights = _read_only(heights)
        self.edges = _read_only(edges)
        self._indices = {viewpoint: i for i, viewpoint in enumerate(self.viewpoint_ids)}

    @classmethod
    def load(cls, scan: str, connectivity_dir: str | Path | None = None) -> "NavGraph":
        """Read the graph of a scan.

        Loading an unchanged file again returns the same object. Distances and paths are cached on
        disk, see `clipnav.envs.graphs.graph_cache`.

        Args:
            scan: Name of the building.
            connectivity_dir: Folder of `<scan>_connectivity.json`; None for the built-in houses.

        Raises:
            FileNotFoundError: The folder has no graph of that scan.
            UserError: The file is damaged.
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
        edges = self.edges.shape[1] // 2
        return f"NavGraph({self.scan!r}, viewpoints={len(self)}, edges={edges})"

    def index(self, viewpoint: str) -> int:
        """Return the row of a viewpoint in `viewpoint_ids`.

        Raises:
            UnknownNameError: The scan has no such viewpoint, or excludes it from navigation.
        """
        if viewpoint not in self._indices:
            raise UnknownNameError(f"scan '{self.scan}' has no navigable viewpoint '{viewpoint}'")
        return self._indices[viewpoint]

    def neighbours(self, viewpoint: str) -> tuple[str, ...]:
        """Return the viewpoints one edge away, in the order of the connectivity file."""
        row = self.adjacency[self.index(viewpoint)]
        return tuple(self.viewpoint_ids[i] for i in np.flatnonzero(row))

    def geodesic(self, start: str, goal: str) -> float:
        """Return the length of the shortest path in metres; infinite if there is no path."""
        return float(self.distances[self.index(start), self.index(goal)])

    def next_hop(self, viewpoint: str, goal: str) -> str:
        """Return the next viewpoint on the shortest path; the goal itself if already there.

        Raises:
            UserError: There is no path.
        """
        hop = self.next_hops[self.index(viewpoint), self.index(goal)]
        if hop < 0:
            raise UserError(f"scan '{self.scan}': no path from '{viewpoint}' to '{goal}'")
        return self.viewpoint_ids[hop]

    def shortest_path(self, start: str, goal: str) -> list[str]:
        """Return the viewpoints of the shortest path, both ends included.

        Raises:
            UserError: There is no path.
        """
        path = [start]
        while path[-1] != goal:
            path.append(self.next_hop(path[-1], goal))
        return path

    def path_length(self, path: Sequence[str]) -> float:
        """Return the sum of geodesic distances between consecutive viewpoints, in metres."""
        nodes = [self.index(viewpoint) for viewpoint in path]
        return float(self.distances[nodes[:-1], nodes[1:]].sum())

    def to_networkx(self) -> "networkx.Graph":
        """Return a networkx graph with node attribute `position` and edge attribute `weight`.

        Both are in metres.
        """
        import networkx

        graph = networkx.Graph(scan=self.scan)
        for viewpoint, position in zip(self.viewpoint_ids, self.positions, strict=True):
            graph.add_node(viewpoint, position=position.copy())
        for i, j in np.argwhere(np.triu(self.adjacency)):
            ends = self.viewpoint_ids[i], self.viewpoint_ids[j]
            graph.add_edge(*ends, weight=float(self.edge_lengths[i, j]))
        return graph

    @cached_property
    def adjacency(self) -> np.ndarray:
        """(N, N) bool, True where an edge joins two viewpoints."""
        adjacency = np.zeros((len(self), len(self)), dtype=bool)
        adjacency[self.edges[0], self.edges[1]] = True
        return _read_only(adjacency)

    @cached_property
    def edge_lengths(self) -> np.ndarray:
        """(N, N) metres between neighbours, 0 elsewhere."""
        lengths = np.zeros((len(self), len(self)))
        lengths[self.edges[0], self.edges[1]] = self._lengths()
        return _read_only(lengths)

    @cached_property
    def distances(self) -> np.ndarray:
        """(N, N) geodesic distances in metres; infinite between unconnected viewpoints."""
        return self._shortest_paths[0]

    @cached_property
    def next_hops(self) -> np.ndarray:
        """(N, N) row of the viewpoint after i on the shortest path to j; i if i is j, -1 if none.

        Among several shortest paths it is the one that networkx returns, see
        `clipnav.envs.graphs.shortest_paths`.
        """
        return self._shortest_paths[1]

    @cached_property
    def _shortest_paths(self) -> tuple[np.ndarray, np.ndarray]:
        origins, targets = self.edges
        distances, next_hops = all_pairs(origins, targets, self._lengths(), len(self))
        return _read_only(distances), _read_only(next_hops)

    def _lengths(self) -> np.ndarray:
        """(M,) edge lengths in metres."""
        origins, targets = self.positions[self.edges]
        return np.linalg.norm(targets - origins, axis=-1)

    def _tables(self) -> dict[str, np.ndarray]:
        """Arrays that `_from_tables` restores a graph from."""
        return {
            "viewpoint_ids": np.frombuffer(json.dumps(self.viewpoint_ids).encode(), np.uint8),
            "record_indices": self.record_indices,
            "positions": self.positions,
            "heights": self.heights,
            "edges": self.edges,
            "distances": self.distances,
            "next_hops": self.next_hops,
        }

    @classmethod
    def _from_tables(cls, scan: str, tables: dict[str, np.ndarray]) -> "NavGraph":
        graph = cls.__new__(cls)
        viewpoint_ids = json.loads(tables["viewpoint_ids"].tobytes())
        fields = (tables[name] for name in ("record_indices", "positions", "heights", "edges"))
        graph._fill(scan, viewpoint_ids, *fields)
        graph._shortest_paths = (
            _read_only(tables["distances"]),
            _read_only(tables["next_hops"]),
        )
        return graph


@lru_cache(maxsize=512)
def _load(scan: str, directory: Path, modified_ns: int, size: int) -> NavGraph:
    """Load a graph; `modified_ns` and `size` only key the cache, so a changed file is reread."""
    path = table_path((directory / f"{scan}_connectivity.json").read_bytes())
    tables = read_tables(path)
    if tables is not None:
        return NavGraph._from_tables(scan, tables)
    graph = NavGraph(scan, read_connectivity(scan, directory))
    write_tables(path, graph._tables())
    return graph


def _read_only(table: np.ndarray) -> np.ndarray:
    table.flags.writeable = False
    return table
