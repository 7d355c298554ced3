"""Sampling of paths without instructions, similar to those of a training split.

EnvDrop provides a file of such paths for Matterport3D (`aug_paths.json`). This module samples them
in any world: shortest paths, and detours through a third viewpoint in the same proportion as in the
training split (Room-across-Room has them), with the same numbers of moves and range of lengths.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.nav_graph import NavGraph

PLACEHOLDER = "What a speaker says."  # instruction of a sampled path
_SLACK = 1e-3  # tolerance in metres of the comparison with the shortest path
_TRIES = 100  # attempts per detour

Viewpoints = tuple[str, ...]


def sample_paths(
    graphs: dict[str, NavGraph],
    train: Sequence[Episode],
    held_out: Iterable[Episode],
    count: int,
    seed: int | Sequence[int],
) -> list[tuple[str, Viewpoints]]:
    """Sample paths in the buildings of a training split."""
    rng = np.random.default_rng(seed)
    known = list({(episode.scan, episode.path) for episode in train})
    known.sort()
    lengths = [graphs[scan].path_length(path) for scan, path in known]
    bounds = min(lengths) - _SLACK, max(lengths) + _SLACK
    shapes = [
        (len(path) - 1, graphs[scan].geodesic(path[0], path[-1]) < length - _SLACK)
        for (scan, path), length in zip(known, lengths, strict=True)
    ]
    wanted = Counter(shapes[index] for index in rng.integers(len(shapes), size=count))
    excluded = {(episode.scan, episode.path) for episode in held_out}
    scans = sorted({scan for scan, _ in known})
    sampled: list[tuple[str, Viewpoints]] = []
    moves_of = {scan: _moves(graphs[scan]) for scan in scans}
    pools = _shortest_pairs(graphs, moves_of, bounds)
    for moves in sorted(moves for moves, is_detour in wanted if not is_detour):
        pool = pools.get(moves, np.empty((0, 3), int))
        paths = (
            (scans[scan], _between(graphs[scans[scan]], start, goal))
            for scan, start, goal in rng.permutation(pool)
        )
        allowed = (item for item in paths if item not in excluded)
        sampled += [item for item, _ in zip(allowed, range(wanted[moves, False]), strict=False)]
    detours = Counter({moves: n for (moves, is_detour), n in wanted.items() if is_detour})
    sampled += _detours(graphs, moves_of, detours, bounds, excluded, rng)
    return [sampled[index] for index in rng.permutation(len(sampled))]


def _shortest_pairs(
    graphs: dict[str, NavGraph], moves_of: dict[str, np.ndarray], bounds: tuple[float, float]
) -> dict[int, np.ndarray]:
    """Return (N, 3) scan index, start and goal of shortest paths, by their number of moves."""
    pairs: dict[int, list[np.ndarray]] = {}
    for scan_index, (scan, moves) in enumerate(moves_of.items()):
        graph = graphs[scan]
        fits = (graph.distances > bounds[0]) & (graph.distances < bounds[1])
        for count in np.unique(moves[fits & (moves > 0)]).tolist():
            ends = np.argwhere(fits & (moves == count))
            scan_indices = np.full((len(ends), 1), scan_index)
            pairs.setdefault(count, []).append(np.hstack([scan_indices, ends]))
    return {count: np.concatenate(parts) for count, parts in pairs.items()}


def _moves(graph: NavGraph) -> np.ndarray:
    """Return the number (N, N) of moves of the shortest paths, -1 where there is no path."""
    size = len(graph)
    current = np.repeat(np.arange(size)[:, None], size, axis=1)
    goals = np.arange(size)[None]
    moves = np.where(graph.next_hops < 0, -1, 0)
    while (unfinished := (current != goals) & (moves >= 0)).any():
        moves[unfinished] += 1
        current = np.where(unfinished, graph.next_hops[current, goals], current)
    return moves


def _detours(
    graphs: dict[str, NavGraph],
    moves_of: dict[str, np.ndarray],
    wanted: Counter[int],
    bounds: tuple[float, float],
    excluded: set[tuple[str, Viewpoints]],
    rng: np.random.Generator,
) -> Iterator[tuple[str, Viewpoints]]:
    """Sample paths through a third viewpoint without repeated viewpoints.

    Args:
        bounds: Smallest and largest length in metres, both exclusive.
    """
    scans = list(moves_of)
    sizes = np.array([len(graphs[scan]) for scan in scans])
    # The draws are those of rng.choice with these probabilities, which is slower.
    shares = np.cumsum(sizes / sizes.sum())
    shares /= shares[-1]
    sampled: set[tuple[str, Viewpoints]] = set()
    left = Counter(wanted)
    for _ in range(_TRIES * wanted.total()):
        if not left.total():
            break
        scan = scans[int(shares.searchsorted(rng.random(), side="right"))]
        graph, moves = graphs[scan], moves_of[scan]
        start, middle, goal = rng.integers(len(graph), size=3).tolist()
        first, second = moves[start, middle], moves[middle, goal]
        # Most draws end here: that is cheaper than to build their paths.
        if first < 1 or second < 1 or not left[int(first + second)]:
            continue
        path = (*_between(graph, start, middle)[:-1], *_between(graph, middle, goal))
        if len(set(path)) < len(path):
            continue
        length = graph.path_length(path)
        longer = length > graph.distances[start, goal] + _SLACK
        is_new = (scan, path) not in excluded and (scan, path) not in sampled
        if longer and bounds[0] < length < bounds[1] and is_new:
            left[len(path) - 1] -= 1
            sampled.add((scan, path))
            yield scan, path


def _between(graph: NavGraph, start: int, goal: int) -> Viewpoints:
    """Return the viewpoints of the shortest path between two rows of a graph."""
    return tuple(graph.shortest_path(graph.viewpoint_ids[start], graph.viewpoint_ids[goal]))
