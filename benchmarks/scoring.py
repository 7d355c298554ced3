"""Speed of path scoring: one by one, in a batch, and compared with a baseline implementation.

The baseline resembles published evaluation scripts: all-pairs distances as dictionaries of
networkx, the textbook recurrence of DTW, loops over pairs of viewpoints for CLS. The results are
compared before timing.
"""

import math
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import networkx
import numpy as np
import tyro
from measuring import BenchmarkConfig, Figure, peak_memory, rate, report

from clipnav.connectivity import CONNECTIVITY_DIR, read_connectivity
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import bootstrap_intervals, score_path, score_paths
from clipnav.envs.metrics.summaries import columns_named

_THRESHOLD = 3.0
Distances = dict[str, dict[str, float]]
Scores = dict[str, float]


@dataclass(frozen=True)
class ScoringConfig(BenchmarkConfig):
    """Measure the speed of path scoring."""

    connectivity_dir: Path = CONNECTIVITY_DIR
    """Folder of the navigation graphs."""
    scans: int = 11
    """Number of scans to use, those with the most viewpoints; val_unseen has 11."""
    seconds: float = 4.0
    """CPU seconds per figure."""
    seed: int = 0
    """Random seed for the paths."""


@dataclass(frozen=True)
class Split:
    """Size of a split: number of instructions, instructions per path, and lengths of paths."""

    name: str
    instructions: int
    per_path: int
    legs: int
    longest_walk: int


# RxR's reference paths are not shortest paths; here they are concatenations of shortest paths. The
# numbers of instructions are those of R2R val_unseen and, approximately, of RxR val_unseen.
SPLITS = (Split("R2R", 2_349, 3, 1, 14), Split("RxR", 13_650, 9, 2, 50))


@dataclass(frozen=True)
class Walks:
    """Paths to score: for each instruction the graph, the trajectory and the reference path."""

    graphs: list[NavGraph]
    predictions: list[list[str]]
    references: list[list[str]]
    paths: list[int]


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(ScoringConfig)
    suffix = "_connectivity.json"
    paths = sorted(config.connectivity_dir.glob(f"*{suffix}"))
    graphs = [NavGraph.load(p.name.removesuffix(suffix), config.connectivity_dir) for p in paths]
    if not graphs:
        raise FileNotFoundError(f"{config.connectivity_dir}: no navigation graphs")
    graphs = sorted(graphs, key=len, reverse=True)[: config.scans]
    tables = {g.scan: _plain_distances(g, config.connectivity_dir) for g in graphs}
    figures = [
        _setup_figure("files to distances, baseline", graphs, config, _plain_distances),
        _setup_figure("files to distances, clipnav", graphs, config, _fresh_distances),
    ]
    for split in SPLITS:
        walks = _walks(split, graphs, config)
        _check_equal(walks, tables)
        figures += _figures(split, walks, tables, config)
    figures.append(Figure("peak memory of the process", peak_memory(), "MiB"))
    report("scoring", figures, config.json)


def _walks(split: Split, graphs: list[NavGraph], config: ScoringConfig) -> Walks:
    rng = np.random.default_rng(config.seed)
    instructions = 60 if config.quick else split.instructions
    walks = Walks([], [], [], [])
    for number in range(instructions):
        if number % split.per_path == 0:
            graph = graphs[rng.integers(len(graphs))]
            reference = _reference(graph, split.legs, rng)
        walks.graphs.append(graph)
        walks.references.append(reference)
        walks.paths.append(number // split.per_path)
        steps = int(rng.integers(split.longest_walk))
        path = [reference[0]]
        for _ in range(steps):
            neighbours = graph.neighbours(path[-1])
            path.append(neighbours[rng.integers(len(neighbours))] if neighbours else path[-1])
        walks.predictions.append(path)
    return walks


def _reference(graph: NavGraph, legs: int, rng: np.random.Generator) -> list[str]:
    """Concatenate shortest paths of 4 to 7 viewpoints, or fewer in small graphs."""
    path = [graph.viewpoint_ids[rng.integers(len(graph))]]
    for _ in range(legs):
        goals = np.flatnonzero(np.isfinite(graph.distances[graph.index(path[-1])]))
        goal = graph.viewpoint_ids[rng.choice(goals)]
        path += graph.shortest_path(path[-1], goal)[1:7]
    return path


def _plain_score(distances: Distances, prediction: list[str], reference: list[str]) -> Scores:
    """Compute all metrics of a path by textbook loops over dictionaries."""
    goal = reference[-1]
    length = sum(distances[a][b] for a, b in pairwise(prediction))
    reference_length = sum(distances[a][b] for a, b in pairwise(reference))
    shortest = distances[reference[0]][goal]
    nav_error = distances[prediction[-1]][goal]
    oracle_error = min(distances[viewpoint][goal] for viewpoint in prediction)
    success = float(nav_error < _THRESHOLD)
    table = [[math.inf] * (len(reference) + 1) for _ in range(len(prediction) + 1)]
    table[0][0] = 0.0
    for i, walked in enumerate(prediction, start=1):
        for j, described in enumerate(reference, start=1):
            cheapest = min(table[i - 1][j], table[i][j - 1], table[i - 1][j - 1])
            table[i][j] = distances[walked][described] + cheapest
    dtw = table[-1][-1]
    ndtw = math.exp(-dtw / (_THRESHOLD * len(reference)))
    nearest = [
        min(distances[described][walked] for walked in prediction) for described in reference
    ]
    coverage = sum(math.exp(-metres / _THRESHOLD) for metres in nearest) / len(reference)
    expected = coverage * reference_length
    spread = expected + abs(expected - length)
    return {
        "trajectory_length": length,
        "nav_error": nav_error,
        "oracle_error": oracle_error,
        "success": success,
        "oracle_success": float(oracle_error < _THRESHOLD),
        "spl": success * shortest / max(length, shortest, 0.01),
        "spl_reference": success * reference_length / max(length, reference_length, 0.01),
        "dtw": dtw,
        "ndtw": ndtw,
        "sdtw": success * ndtw,
        "cls": coverage * (expected / spread if spread else 1.0),
    }


def _check_equal(walks: Walks, tables: dict[str, Distances]) -> None:
    columns = score_paths(walks.graphs, walks.predictions, walks.references)
    for row, single in enumerate(_one_by_one(walks)):
        graph, prediction, reference = (
            walks.graphs[row],
            walks.predictions[row],
            walks.references[row],
        )
        for name, value in _plain_score(tables[graph.scan], prediction, reference).items():
            if max(abs(columns[name][row] - value), abs(single[name] - value)) > 1e-9:
                raise AssertionError(f"path {row}: the implementations differ in {name}")


def _one_by_one(walks: Walks) -> list[Scores]:
    triples = zip(walks.graphs, walks.predictions, walks.references, strict=True)
    return [score_path(graph, prediction, reference) for graph, prediction, reference in triples]


def _plain(walks: Walks, tables: dict[str, Distances]) -> list[Scores]:
    triples = zip(walks.graphs, walks.predictions, walks.references, strict=True)
    return [_plain_score(tables[g.scan], prediction, path) for g, prediction, path in triples]


def _figures(
    split: Split, walks: Walks, tables: dict[str, Distances], config: ScoringConfig
) -> list[Figure]:
    count = len(walks.graphs)
    seconds = 0.05 if config.quick else config.seconds

    def score_batch() -> dict[str, np.ndarray]:
        return score_paths(walks.graphs, walks.predictions, walks.references)

    columns = columns_named(score_batch())
    unit = "paths per CPU second"
    size = f"{split.name} size ({count})"
    reference_mean = np.mean([len(path) for path in walks.references])
    trajectory_mean = np.mean([len(path) for path in walks.predictions])
    tracemalloc.start()
    score_batch()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return [
        Figure(f"{size}: viewpoints of a trajectory", float(trajectory_mean), "mean"),
        Figure(f"{size}: viewpoints of a reference path", float(reference_mean), "mean"),
        Figure(f"{size}: baseline", rate(lambda: _plain(walks, tables), count, seconds), unit),
        Figure(f"{size}: score_path", rate(lambda: _one_by_one(walks), count, seconds), unit),
        Figure(f"{size}: score_paths", rate(score_batch, count, seconds), unit),
        Figure(
            f"{size}: intervals of all metrics",
            1 / rate(lambda: bootstrap_intervals(columns, clusters=walks.paths), 1, seconds),
            "CPU seconds",
        ),
        Figure(f"{size}: memory of score_paths", peak / 2**20, "MiB"),
    ]


def _setup_figure(
    name: str,
    graphs: list[NavGraph],
    config: ScoringConfig,
    work: Callable[[NavGraph, Path], object],
) -> Figure:
    chosen = graphs[:1] if config.quick else graphs
    seconds = 0.05 if config.quick else config.seconds
    runs = rate(lambda: [work(graph, config.connectivity_dir) for graph in chosen], 1, seconds)
    return Figure(f"{name}, {len(chosen)} graphs", 1 / runs, "CPU seconds")


def _plain_distances(graph: NavGraph, directory: Path) -> Distances:
    """Compute all-pairs distances with networkx, starting from the file."""
    records = read_connectivity(graph.scan, directory)
    plain = networkx.Graph()
    for record in records:
        if record["included"]:
            for other, free in zip(records, record["unobstructed"], strict=True):
                if free and other["included"]:
                    ends = [[r["pose"][k] for k in (3, 7, 11)] for r in (record, other)]
                    plain.add_edge(record["image_id"], other["image_id"], weight=math.dist(*ends))
    return dict(networkx.all_pairs_dijkstra_path_length(plain))


def _fresh_distances(graph: NavGraph, directory: Path) -> np.ndarray:
    """Compute the distances of a new graph, starting from the file."""
    return NavGraph(graph.scan, read_connectivity(graph.scan, directory)).distances


if __name__ == "__main__":
    main()
