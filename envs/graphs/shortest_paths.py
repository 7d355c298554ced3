"""Shortest paths between all viewpoints of a graph, with networkx's choice among equal ones."""

from heapq import heappop, heappush
from itertools import count

import numpy as np


def all_pairs(
    origins: np.ndarray, targets: np.ndarray, lengths: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Geodesic distances and next hops.

    The reference agents walk `networkx.all_pairs_dijkstra_path` (EnvDrop `r2r_src/env.py`). Where
    several paths are equally long, the one it finds first counts; so does it here.

    Args:
        origins: (M,) where each directed edge begins; sorted, every edge in both directions.
        targets: (M,) where it ends; sorted among edges of the same origin.
        lengths: (M,) metres, not negative.
        size: N, viewpoints.

    Returns:
        distances (N, N) float64 in metres, infinite where no path leads, and next_hops (N, N)
        int32, the viewpoint after row i on the way to column j; i itself if i is j, -1 without a
        path.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import dijkstra

    # An explicit csr keeps edges of length 0 (two viewpoints at one place) as edges.
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
    # Both directions of a path may differ in the last bit; one table serves both.
    return np.minimum(distances, distances.T), next_hops


def _ambiguous_sources(
    distances: np.ndarray, origins: np.ndarray, targets: np.ndarray, lengths: np.ndarray
) -> np.ndarray:
    """Rows from which some viewpoint has two edges to come by that are equally good to the bit."""
    if not origins.size:
        return np.array([], dtype=np.intp)
    here = distances[:, origins]
    by_edge = (distances[:, targets] + lengths == here) & np.isfinite(here)  # (N, M)
    firsts = np.flatnonzero(np.diff(origins, prepend=-1))
    ways = np.add.reduceat(by_edge, firsts, axis=1, dtype=np.int32)
    return np.flatnonzero((ways > 1).any(axis=1))


def _predecessors(source: int, neighbours: list[list[tuple[int, float]]]) -> np.ndarray:
    """(N,) viewpoint before each on its path from the source; itself where there is none.

    Of viewpoints at the same distance the one that was put in line first is settled first, and of
    equally good predecessors the one settled first is kept, as networkx does.
    """
    predecessors = np.arange(len(neighbours))
    distances, settled, numbers = {source: 0.0}, set(), count()
    line = [(0.0, next(numbers), source)]
    while line:
        distance, _, viewpoint = heappop(line)
        if viewpoint in settled:
            continue
        settled.add(viewpoint)
        for neighbour, length in neighbours[viewpoint]:
            further = distance + length
            if neighbour not in settled and further < distances.get(neighbour, np.inf):
                distances[neighbour] = further
                predecessors[neighbour] = viewpoint
                heappush(line, (further, next(numbers), neighbour))
    return predecessors


def _next_hops(predecessors: np.ndarray) -> np.ndarray:
    """(N, N) int32 first step from row to column, given the last one before each column."""
    places = np.arange(len(predecessors), dtype=predecessors.dtype)
    # Go back from each column until the next step back would be the source.
    at_source = (predecessors == places[:, None]) | (predecessors < 0)
    hops = np.where(at_source, places, predecessors)
    while True:
        further = np.take_along_axis(hops, hops, axis=1)
        if np.array_equal(further, hops):
            return hops.astype(np.int32)
        hops = further
