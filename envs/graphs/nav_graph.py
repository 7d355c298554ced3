"""NavGraph: the navigation graph of one building, with distances and shortest paths.

Tables of graphs are cached in `clipnav.storage.cache_dir() / "graphs"`, one file per graph. Its
name is a digest of the connectivity file, so an outdated file is never read. All files may be
deleted at any time.
"""

import hashlib
import json
import mmap
import os
import warnings
import zlib
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipnav.connectivity import CONNECTIVITY_DIR, read_connectivity
from clipnav.envs.graphs.candidates import CandidateEdges, candidate_edges
from clipnav.storage import atomic_write, cache_dir
from clipnav.storage.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    import networkx

# Count up when the meaning of the tables changes.
FORMAT_VERSION = 5
_CHECKSUM_BYTES = 8  # which keep the tables aligned
_DTYPES = {"U8": "<u1", "U16": "<u2", "I32": "<i4", "I64": "<i8", "F64": "<f8"}


def all_pairs(
    origins: np.ndarray, targets: np.ndarray, lengths: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute geodesic distances and next hops.

    The reference agents follow `networkx.all_pairs_dijkstra_path` (EnvDrop `r2r_src/env.py`).
    Among several paths of equal length this function returns the one that networkx finds first.

    Args:
        origins: (M,) start of each directed edge, sorted; every edge appears in both directions.
        targets: (M,) end of each directed edge, sorted among edges of the same origin.
        lengths: (M,) edge lengths in metres, not negative.

    Returns:
        distances: (N, N) float64 metres, infinite where there is no path.
        next_hops: (N, N) int32, the viewpoint after row i on the path to column j; i itself if i
            is j, -1 if there is no path.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    # An explicit csr array keeps edges of length 0 (two viewpoints at one position) as edges.
    graph = csr_array((lengths, (origins, targets)), shape=(size, size))
    distances, predecessors = dijkstra(graph, directed=True, return_predecessors=True)
    ambiguous = _ambiguous_sources(distances, origins, targets, lengths)
    if ambiguous.size:
        neighbours = [
            list(zip(targets[start:stop].tolist(), lengths[start:stop].tolist(), strict=True))
            for start, stop in zip(graph.indptr[:-1], graph.indptr[1:], strict=True)
        ]
        for source in ambiguous:
            predecessors[source] = _predecessors(int(source), neighbours)
    next_hops = _next_hops(predecessors)
    next_hops[np.isinf(distances)] = -1
    # The two directions of a path may differ in the last bit; the table is made symmetric.
    return np.minimum(distances, distances.T), next_hops


def _ambiguous_sources(
    distances: np.ndarray, origins: np.ndarray, targets: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Sources from which some viewpoint is reached equally well, to the bit, over two edges."""
    if not origins.size:
        return np.array([], dtype=np.intp)
    here = distances[:, origins]
    by_edge = (distances[:, targets] + lengths == here) & np.isfinite(here)  # (N, M)
    firsts = np.flatnonzero(np.diff(origins, prepend=-1))
    ways = np.add.reduceat(by_edge, firsts, axis=1, dtype=np.int32)
    return np.flatnonzero((ways > 1).any(axis=1))


def _predecessors(source: int, neighbours: list[list[tuple[int, float]]]) -> np.ndarray:
    """(N,) predecessor of each viewpoint on its path from the source; itself if it has none.

    Among viewpoints at equal distance the one pushed first is settled first, and among equally
    good predecessors the one settled first is kept, as in networkx.
    """
    predecessors = np.arange(len(neighbours))
    distances, settled, counter = {source: 0.0}, set(), count()
    queue = [(0.0, next(counter), source)]
    while queue:
        distance, _, viewpoint = heappop(queue)
        if viewpoint in settled:
            continue
        settled.add(viewpoint)
        for neighbour, length in neighbours[viewpoint]:
            total = distance + length
            if neighbour not in settled and total < distances.get(neighbour, np.inf):
                distances[neighbour] = total
                predecessors[neighbour] = viewpoint
                heappush(queue, (total, next(counter), neighbour))
    return predecessors


def _next_hops(predecessors: np.ndarray) -> np.ndarray:
    """(N, N) int32 first step from row to column, given the predecessor of each column."""
    nodes = np.arange(len(predecessors), dtype=predecessors.dtype)
    # Follow predecessors from each column until the next one would be the source itself.
    at_source = (predecessors == nodes[:, None]) | (predecessors < 0)
    hops = np.where(at_source, nodes, predecessors)
    while True:
        doubled = np.take_along_axis(hops, hops, axis=1)
        if np.array_equal(doubled, hops):
            return hops.astype(np.int32)
        hops = doubled


def table_path(content: bytes) -> Path:
    """Return the path of the tables computed from the content of a connectivity file."""
    key = hashlib.sha256(b"%d\n" % FORMAT_VERSION)
    key.update(content)
    return Path(cache_dir(), "graphs", f"{key.hexdigest()}.tables")


def read_tables(path: Path) -> dict[str, np.ndarray] | None:
    """Read the tables of a graph; return None if the file is missing or damaged."""
    try:
        with open(path, "rb", buffering=0) as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError):  # the latter for an empty file
        return None
    payload = memoryview(mapped)[_CHECKSUM_BYTES:]
    if _checksum(payload) != mapped[:_CHECKSUM_BYTES]:
        return None
    # Mapped tables need a sixteenth of the page faults of the copies that safetensors makes.
    start = 8 + int.from_bytes(payload[:8], "little")
    tables = {}
    for name, entry in json.loads(bytes(payload[8:start])).items():
        dtype, offset = _DTYPES[entry["dtype"]], start + entry["data_offsets"][0]
        tables[name] = np.ndarray(entry["shape"], dtype, payload, offset)
    return tables


def _checksum(payload: bytes | memoryview) -> bytes:
    return zlib.crc32(payload).to_bytes(_CHECKSUM_BYTES, "big")


def write_tables(path: Path, tables: Mapping[str, np.ndarray]) -> None:
    """Keep tables for another time; warns where the cache cannot be written."""
    from safetensors.numpy import save

    payload = save({name: np.ascontiguousarray(table) for name, table in tables.items()})
    try:
        with atomic_write(path) as beside:
            beside.write_bytes(_checksum(payload) + payload)
    except OSError as error:
        warnings.warn(
            f"{path}: navigation graphs cannot be cached ({error}); name another folder in "
            "CLIPNAV_CACHE",
            stacklevel=2,
        )


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
        disk.

        Args:
            scan: Name of the building.
            connectivity_dir: Folder of `<scan>_connectivity.json`; None for the built-in houses.

        Raises:
            FileNotFoundError: The folder has no graph of that scan.
            UserError: The file is damaged.
        """
        directory = os.path.abspath(connectivity_dir or CONNECTIVITY_DIR)
        path = os.path.join(directory, f"{scan}_connectivity.json")
        try:
            status = os.stat(path)
        except OSError:
            read_connectivity(scan, Path(directory))  # raises the error that names the remedy
            raise
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

    def geodesic_to(self, start: str, goals: Sequence[str]) -> float:
        """Return the metres to the nearest of several goals; infinite if there is no path."""
        return min(self.geodesic(start, goal) for goal in goals)

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

        Among several shortest paths it is the one that networkx returns.
        """
        return self._shortest_paths[1]

    @cached_property
    def _shortest_paths(self) -> tuple[np.ndarray, np.ndarray]:
        origins, targets = self.edges
        distances, next_hops = all_pairs(origins, targets, self._lengths(), len(self))
        return _read_only(distances), _read_only(next_hops)

    @cached_property
    def candidates(self) -> CandidateEdges:
        """The candidates of all viewpoints."""
        return candidate_edges(self.positions, *self.edges)

    @cached_property
    def teachers(self) -> np.ndarray:
        """(N, N) uint8 or uint16 action from i along the shortest path to j, 0 if i is j or none.

        Action k > 0 moves to candidate k - 1.
        """
        size, edges = len(self), self.candidates
        most = 1 + int(edges.ranks.max(initial=0))
        # A missing hop (-1) is the column after the last viewpoint, or entry 0: both are 0.
        action_to = np.zeros((size, size + 1), np.uint8 if most <= 255 else np.uint16)
        action_to[edges.origins, edges.targets] = 1 + edges.ranks
        entries = self.next_hops + (size + 1) * np.arange(size)[:, None]
        return _read_only(action_to.take(entries, mode="clip"))

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
            "teachers": self.teachers,
            **self.candidates.tables,
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
        graph.candidates = CandidateEdges.from_tables(graph.edges[0], tables)
        graph.teachers = _read_only(tables["teachers"])
        return graph


# A smaller cache would read the graphs of a larger world several times.
@lru_cache(maxsize=4096)
def _load(scan: str, directory: str, modified_ns: int, size: int) -> NavGraph:
    """Load a graph; `modified_ns` and `size` only key the cache, so a changed file is reread."""
    with open(os.path.join(directory, f"{scan}_connectivity.json"), "rb", buffering=0) as file:
        path = table_path(file.read())
    tables = read_tables(path)
    if tables is not None:
        return NavGraph._from_tables(scan, tables)
    graph = NavGraph(scan, read_connectivity(scan, Path(directory)))
    write_tables(path, graph._tables())
    return graph


def _read_only(table: np.ndarray) -> np.ndarray:
    table.flags.writeable = False
    return table
