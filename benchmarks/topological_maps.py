"""Speed of the topological maps of agents, compared with a baseline of one Python object per map.

The baseline resembles published agents: dictionaries of dictionaries for the distances, Floyd's
update in three nested loops, and a call of a function for the position features of each node. Both
follow the same random walks over unvisited nodes, and their results are compared before timing.
"""

import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import tyro
from measuring import BenchmarkConfig, Figure, rate, report

from clipnav.agents.maps.experts import NO_TARGET, Expert
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.maps.topological_maps import TopologicalMaps
from clipnav.connectivity import CONNECTIVITY_DIR
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.storage.features.view_grid import STEP

UNIT = "episode-steps per CPU second"


@dataclass(frozen=True)
class TopologicalMapsConfig(BenchmarkConfig):
    """Measure the speed of the topological maps of agents."""

    connectivity_dir: Path = CONNECTIVITY_DIR
    """Folder of the navigation graphs."""
    scans: int = 20
    """Number of scans to use."""
    episodes: int = 64
    """Number of episodes in a batch."""
    steps: int = 7
    """Number of decisions of an episode."""
    seconds: float = 4.0
    """CPU seconds per figure."""
    seed: int = 0
    """Random seed of the walks."""


@dataclass
class PlainMap:
    """Known map of one episode with dictionaries."""

    geometry: MapGeometry
    seen: dict[int, None] = field(default_factory=dict)
    visited: dict[int, int] = field(default_factory=dict)
    distances: dict[int, dict[int, float]] = field(default_factory=dict)
    via: dict[int, dict[int, int | None]] = field(default_factory=dict)

    def visit(self, node: int) -> None:
        """Add a viewpoint with its candidates."""
        self._see(node)
        for rank in range(self.geometry.candidate_counts[node]):
            other = int(self.geometry.candidates[node, rank])
            self._see(other)
            length = math.dist(self.geometry.positions[node], self.geometry.positions[other])
            if length < self.distances[node].get(other, math.inf):
                self._connect(node, other, length, None)
        self.visited[node] = len(self.visited) + 1
        for start in self.seen:
            for end in self.seen:
                through = self.distance(start, node) + self.distance(node, end)
                if through < self.distance(start, end):
                    self._connect(start, end, through, node)

    def tokens(self, here: int, view: int) -> tuple[list[int], np.ndarray, np.ndarray]:
        """Return nodes in the order of the tokens, their position features and distances."""
        unvisited = [node for node in self.seen if node not in self.visited]
        nodes = [*(node for node in self.seen if node in self.visited), *unvisited]
        features = [[0.0, 1.0, 0.0, 1.0, 0.0, 0.0, 0.0]]
        features += [self._features(here, node, view) for node in nodes]
        between = np.zeros((len(nodes) + 1,) * 2, np.float32)
        for row, start in enumerate(nodes, start=1):
            for column, end in enumerate(nodes, start=1):
                between[row, column] = self.distance(start, end)
        return nodes, np.array(features, np.float32), between

    def distance(self, start: int, end: int) -> float:
        """Return the length of the shortest known path in metres."""
        return 0.0 if start == end else self.distances[start].get(end, math.inf)

    def path(self, start: int, end: int) -> list[int]:
        """Return the nodes of the shortest known path after its start."""
        if start == end:
            return []
        via = self.via[start][end]
        return [end] if via is None else self.path(start, via) + self.path(via, end)

    def _see(self, node: int) -> None:
        self.seen.setdefault(node)
        self.distances.setdefault(node, {})
        self.via.setdefault(node, {})

    def _connect(self, start: int, end: int, length: float, via: int | None) -> None:
        self.distances[start][end] = self.distances[end][start] = length
        self.via[start][end] = self.via[end][start] = via

    def _features(self, here: int, node: int, view: int) -> list[float]:
        x, y, z = self.geometry.positions[node] - self.geometry.positions[here]
        heading = math.atan2(x, y) - view % 12 * STEP
        elevation = math.atan2(z, math.hypot(x, y)) - (view // 12 - 1) * STEP
        angles = [math.sin(heading), math.cos(heading), math.sin(elevation), math.cos(elevation)]
        straight = math.sqrt(x * x + y * y + z * z)
        hops = len(self.path(here, node))
        return [*angles, straight / 30, self.distance(here, node) / 30, hops / 10]


def _random_walks(
    geometry: MapGeometry, config: TopologicalMapsConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Return nodes and views (T, B) of walks to random unvisited nodes."""
    rng = np.random.default_rng(config.seed)
    rows = np.arange(config.episodes)
    maps = TopologicalMaps(geometry, config.episodes)
    nodes = [rng.integers(len(geometry.world), size=config.episodes)]
    for _ in range(config.steps - 1):
        maps.visit(rows, nodes[-1])
        unvisited = maps.nodes >= 0
        unvisited &= maps.visit_steps == 0
        slots = np.where(unvisited, rng.random(unvisited.shape), -1.0).argmax(1)
        nodes.append(maps.nodes[rows, slots])
    return np.stack(nodes), rng.integers(36, size=(config.steps, config.episodes))


def _walk_arrays(geometry: MapGeometry, nodes: np.ndarray, views: np.ndarray) -> list:
    """Follow the walks with `TopologicalMaps`; return the tokens of each step and the maps."""
    rows = np.arange(nodes.shape[1])
    maps = TopologicalMaps(geometry, len(rows))
    results = []
    for here, view in zip(nodes, views, strict=True):
        maps.visit(rows, here)
        results.append(maps.tokens(rows, view))
    return [results, maps]


def _walk_plain(geometry: MapGeometry, nodes: np.ndarray, views: np.ndarray) -> list:
    """Follow the walks with a `PlainMap` per episode; return the tokens of each step."""
    maps = [PlainMap(geometry) for _ in range(nodes.shape[1])]
    results = []
    for here, view in zip(nodes.tolist(), views.tolist(), strict=True):
        for each, node in zip(maps, here, strict=True):
            each.visit(node)
        each_step = zip(maps, here, view, strict=True)
        results.append([each.tokens(node, facing) for each, node, facing in each_step])
    return results


def _check_equal(geometry: MapGeometry, nodes: np.ndarray, views: np.ndarray) -> float:
    """Compare both implementations and return the mean number of tokens."""
    results, maps = _walk_arrays(geometry, nodes, views)
    sizes = []
    for ours, plain in zip(results, _walk_plain(geometry, nodes, views), strict=True):
        for row, (order, features, between) in enumerate(plain):
            real = ours.mask[row]
            assert maps.nodes[row, ours.slots[row, real]][1:].tolist() == order
            # Equally long paths may differ in their number of hops, the last feature.
            positions = ours.positions[row, real, :6]
            np.testing.assert_allclose(positions, features[:, :6], atol=1e-5)
            np.testing.assert_allclose(ours.distances[row][real][:, real], between, atol=1e-4)
            sizes.append(len(order) + 1)
    return float(np.mean(sizes))


def _label_all(geometry: MapGeometry, nodes: np.ndarray, views: np.ndarray, kind: str) -> None:
    """Follow the walks with `TopologicalMaps` and ask an expert at every step."""
    rows = np.arange(nodes.shape[1])
    maps = TopologicalMaps(geometry, len(rows))
    starts = nodes[:1].T
    goals = geometry.candidates[starts, 0].astype(np.int64)
    references = np.column_stack([starts, goals])
    expert = Expert(geometry.world, references, np.full(len(rows), 2), kind)  # type: ignore
    for step, (here, view) in enumerate(zip(nodes, views, strict=True)):
        if step:
            expert.walk(rows, maps.routes(rows, maps.slots_of(rows, here)))
        maps.visit(rows, here)
        targets = expert.targets(maps, rows, maps.tokens(rows, view))
        assert targets.min() >= NO_TARGET


def main() -> None:
    """Run the benchmark."""
    config = tyro.cli(TopologicalMapsConfig, description=TopologicalMapsConfig.__doc__)
    suffix = "_connectivity.json"
    folder = config.connectivity_dir
    names = sorted(path.name.removesuffix(suffix) for path in folder.glob(f"*{suffix}"))
    scans = names[: 2 if config.quick else config.scans]
    geometry = MapGeometry.of(NavWorld.load(scans, folder))
    nodes, views = _random_walks(geometry, config)
    seconds = 0.05 if config.quick else config.seconds
    tokens = _check_equal(geometry, nodes, views)
    plain = rate(lambda: _walk_plain(geometry, nodes, views), nodes.size, seconds)
    arrays = rate(lambda: _walk_arrays(geometry, nodes, views), nodes.size, seconds)
    figures = [
        Figure("tokens of a map", tokens, "mean"),
        Figure("baseline", plain, UNIT),
        Figure("TopologicalMaps", arrays, UNIT),
        Figure("TopologicalMaps / baseline", arrays / plain, "times", bar=10.0),
    ]
    for kind in ("spl", "ndtw"):
        speed = rate(
            lambda kind=kind: _label_all(geometry, nodes, views, kind), nodes.size, seconds
        )
        figures.append(Figure(f"TopologicalMaps with the {kind} expert", speed, UNIT))
    report("topological_maps", figures, config.json)


if __name__ == "__main__":
    main()
