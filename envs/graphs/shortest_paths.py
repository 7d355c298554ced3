"""All-pairs shortest paths of a graph, with networkx's choice among equally short paths."""

from heapq import heappop, heappush
from itertools import count

import numpy as np


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
