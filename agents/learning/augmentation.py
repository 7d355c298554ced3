"""Paths that nobody has described, like those of a training split, for a speaker to describe.

EnvDrop comes with a file of such paths (`aug_paths.json`), for Matterport3D; these are sampled,
in any world: shortest ways, and ways round through a third viewpoint as far as the training split
has such (Room-across-Room), with as many moves and about as long as its paths.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from envs.episodes import Episode
from envs.graphs.nav_graph import NavGraph

UNTOLD = "What a speaker says."  # instruction of a sampled path
_SLACK = 1e-3  # metres by which a path may be longer than the shortest and still be called so
_TRIES = 100  # at ways round, per wanted one

Viewpoints = tuple[str, ...]


def sample_paths(
    graphs: dict[str, NavGraph],
    train: Sequence[Episode],
    secret: Iterable[Episode],
    count: int,
    seed: int | Sequence[int],
) -> list[tuple[str, Viewpoints]]:
    """Sample paths in the buildings of a training split.

    Args:
        graphs: By scan; those of the training split.
        train: Its episodes, whose paths the sampled ones are to be like.
        secret: Episodes of validation and test, whose paths must not come up.
        count: Paths to sample; there are fewer where the buildings hold no more.
        seed: Of the sampling.

    Returns:
        Scan and viewpoints of each, all different.
    """
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
    forbidden = {(episode.scan, episode.path) for episode in secret}
    scans = sorted({scan for scan, _ in known})
    sampled: list[tuple[str, Viewpoints]] = []
    pools = _shortest_pairs(graphs, scans, bounds)
    for moves in sorted(moves for moves, around in wanted if not around):
        pool = pools.get(moves, np.empty((0, 3), int))
        paths = (
            (scans[scan], _between(graphs[scans[scan]], start, goal))
            for scan, start, goal in rng.permutation(pool)
        )
        allowed = (item for item in paths if item not in forbidden)
        sampled += [item for item, _ in zip(allowed, range(wanted[moves, False]), strict=False)]
    around = Counter({moves: n for (moves, round_), n in wanted.items() if round_})
    sampled += _ways_round(graphs, scans, around, bounds, forbidden, rng)
    return [sampled[index] for index in rng.permutation(len(sampled))]


def _shortest_pairs(
    graphs: dict[str, NavGraph], scans: Sequence[str], bounds: tuple[float, float]
) -> dict[int, np.ndarray]:
    """By moves of the shortest path: (N, 3) number of the scan, start and goal."""
    pairs: dict[int, list[np.ndarray]] = {}
    for number, scan in enumerate(scans):
        graph = graphs[scan]
        moves = _moves(graph)
        fits = (graph.distances > bounds[0]) & (graph.distances < bounds[1])
        for count in np.unique(moves[fits & (moves > 0)]).tolist():
            ends = np.argwhere(fits & (moves == count))
            numbers = np.full((len(ends), 1), number)
            pairs.setdefault(count, []).append(np.hstack([numbers, ends]))
    return {count: np.concatenate(parts) for count, parts in pairs.items()}


def _moves(graph: NavGraph) -> np.ndarray:
    """(N, N) moves of the shortest path, -1 where there is none."""
    size = len(graph)
    here = np.repeat(np.arange(size)[:, None], size, axis=1)
    goals = np.arange(size)[None]
    moves = np.where(graph.next_hops < 0, -1, 0)
    while (going := (here != goals) & (moves >= 0)).any():
        moves[going] += 1
        here = np.where(going, graph.next_hops[here, goals], here)
    return moves


def _ways_round(
    graphs: dict[str, NavGraph],
    scans: Sequence[str],
    wanted: Counter[int],
    bounds: tuple[float, float],
    forbidden: set[tuple[str, Viewpoints]],
    rng: np.random.Generator,
) -> Iterator[tuple[str, Viewpoints]]:
    """Ways through a third viewpoint that visit none twice, as many of each size as wanted."""
    sizes = np.array([len(graphs[scan]) for scan in scans])
    found: set[tuple[str, Viewpoints]] = set()
    left = Counter(wanted)
    for _ in range(_TRIES * wanted.total()):
        if not left.total():
            break
        scan = scans[int(rng.choice(len(scans), p=sizes / sizes.sum()))]
        graph = graphs[scan]
        start, middle, goal = rng.integers(len(graph), size=3)
        first, second = _between(graph, start, middle), _between(graph, middle, goal)
        path = (*first[:-1], *second)
        if not first or not second or len(set(path)) < len(path) or not left[len(path) - 1]:
            continue
        length = graph.path_length(path)
        longer = length > graph.distances[start, goal] + _SLACK
        if longer and bounds[0] < length < bounds[1] and (scan, path) not in forbidden | found:
            left[len(path) - 1] -= 1
            found.add((scan, path))
            yield scan, path


def _between(graph: NavGraph, start: int, goal: int) -> Viewpoints:
    """Viewpoints of the shortest path between rows of a graph; none if there is no way."""
    if graph.next_hops[start, goal] < 0:
        return ()
    return tuple(graph.shortest_path(graph.viewpoint_ids[start], graph.viewpoint_ids[goal]))
