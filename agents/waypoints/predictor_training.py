"""Training of the waypoint predictor on the navigation graphs and floors of houses.

A viewpoint is a training place. Its target is a map of its neighbours in the graph, and the
obstacles around it are those of the floor: nothing walks in a simulator.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from clipnav.agents.acting.evaluation import Results, table
from clipnav.agents.waypoints.env import places_around
from clipnav.agents.waypoints.heat_maps import (
    ANGLE_STEP,
    ANGLES,
    DISTANCES,
    candidates,
    count_open_bins,
    make_target,
    measures,
    summarise_measures,
)
from clipnav.agents.waypoints.predictor import DdppoDepthNetwork, WaypointPredictor, draw_panoramas
from clipnav.agents.waypoints.predictor_conversion import load_ddppo
from clipnav.agents.waypoints.settings import PredictorConfig, TargetRule
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.houses.building.sets import MINI, STANDARD
from clipnav.envs.metrics.table import Metric, by_name
from clipnav.envs.worlds import world_files
from clipnav.storage.progress import progress_bar
from clipnav.training.batches import ShuffledBatchOrder
from clipnav.training.distributed import set_up_torch
from clipnav.training.learners import SavedNetwork, Selection, Summary
from clipnav.training.optimisers import make_optimiser
from clipnav.training.run_folder import check_run
from clipnav.training.streams import Stream, iteration_seed
from clipnav.training.trainer import Trainer

_MEASURES = by_name(
    Metric("open", "open"),
    Metric("score", "score"),
    Metric("distance", "distance", 1, "m", better="lower"),
    Metric("chamfer", "chamfer", 1, "m", better="lower"),
    Metric("hausdorff", "hausdorff", 1, "m", better="lower"),
    Metric("delta", "delta", 1, "", better="lower"),
)
_TRAIN, _EVALUATED = "train", ("val_seen", "val_unseen")
_HELD_OUT = 10  # every tenth viewpoint of the training houses is in val_seen
HOUSE_SETS = {"houses": MINI, "houses-standard": STANDARD}
_DRAWN_TOGETHER = 8  # panoramas
_LARGEST_LOSS = 1e6

Polar = tuple[np.ndarray, np.ndarray]  # angles (K,) in radians and distances (K,) in metres


class Viewpoint(NamedTuple):
    """A viewpoint of a graph, seen from a heading; angles are clockwise from it.

    Attributes:
        position: (3,) point of the floor under it.
        heading: Radians clockwise from +y.
        neighbours: Where the neighbours in the graph are that are in the target.
        open_bins: (120,) number of distance bins before the obstacle in each direction.
        target: (120, 12) map of the neighbours.
    """

    scan: str
    position: np.ndarray
    heading: float
    neighbours: Polar
    open_bins: np.ndarray
    target: np.ndarray


def read_viewpoints(
    graph: NavGraph, rows: np.ndarray, headings: np.ndarray, floor: Any, rule: TargetRule
) -> list[Viewpoint]:
    """Return the viewpoints of a graph that have a target, seen from several headings.

    Args:
        rows: (R,) indices of the viewpoints.
        headings: (R, P) headings from which they are seen.
        floor: `ContinuousFloor` of the house.
    """
    feet = graph.positions.copy()
    feet[:, 2] -= graph.heights
    found = []
    for row, position, views in zip(rows, floor.project(feet[rows]), headings, strict=True):
        east, north, _ = (graph.positions[graph.adjacency[row]] - graph.positions[row]).T
        for heading in views:
            angles, distances = np.arctan2(east, north) - heading, np.hypot(east, north)
            ahead = heading + ANGLE_STEP * np.arange(ANGLES)
            bins = count_open_bins(floor.straight_walks(position, ahead))
            target = make_target(angles, distances, bins, rule)
            if target is not None:
                neighbours = angles[target.kept], distances[target.kept]
                found.append(
                    Viewpoint(graph.scan, position, float(heading), neighbours, bins, target.heat)
                )
    return found


class ViewpointSplit(NamedTuple):
    """N viewpoints and their pictures.

    Attributes:
        depth: (N, 12, P, P) float16 depth pictures, or (N, 12, D) features of a frozen network.
        targets: (N, 120, 12) float32.
    """

    viewpoints: list[Viewpoint]
    depth: Tensor
    targets: Tensor


def heat_map_loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the squared error of heat maps (B, 120, 12), summed over distances."""
    return (logits - targets).square().sum() / (len(logits) * ANGLES)


def _score_places(
    viewpoints: Sequence[Viewpoint], places: Callable[[int], Polar]
) -> dict[str, float]:
    """Return the mean measures of the places around viewpoints.

    Args:
        places: Function that returns the places around viewpoint k.
    """
    return summarise_measures(
        [
            measures(places(k), one.neighbours, one.target, one.open_bins)
            for k, one in enumerate(viewpoints)
        ]
    )


class PredictorLearner(SavedNetwork):
    """Adapter from a waypoint predictor to the `Trainer`."""

    network: WaypointPredictor

    def __init__(self, config: PredictorConfig) -> None:
        self.config, self.metadata = config, {}
        self.selection = Selection("val_seen", "score")
        self.network = WaypointPredictor(config).to(config.device)
        self.clipped: list[nn.Module] = [self.network]
        self.optimiser = make_optimiser(self.network, config.optimiser)
        network = self.network.depth_network
        self._is_frozen = isinstance(network, DdppoDepthNetwork)
        if isinstance(network, DdppoDepthNetwork) and config.depth_weights is not None:
            load_ddppo(network, config.depth_weights)
        self.simulator = HouseSimulator(self.network.cameras)
        scans = HOUSE_SETS[self.config.world].scans
        parts: dict[str, list[ViewpointSplit]] = {name: [] for name in (_TRAIN, *_EVALUATED)}
        houses = [*scans["train"], *scans["val_unseen"]]
        for number, scan in enumerate(progress_bar(houses, desc="drawing", unit="houses")):
            graph = NavGraph.load(scan, world_files(self.config.world).connectivity_dir)
            rng = Stream.WAYPOINT_HEADINGS.rng(self.config.seed, number)
            headings = rng.uniform(0, 2 * np.pi, (len(graph), self.config.panoramas))
            rows = np.arange(len(graph))
            if scan in scans["val_unseen"]:
                chosen = {"val_unseen": rows}
            else:
                held_out = rows % _HELD_OUT == _HELD_OUT - 1
                chosen = {_TRAIN: rows[~held_out], "val_seen": rows[held_out]}
            for name, part in chosen.items():
                seen = headings[part] if name == _TRAIN else headings[part, :1]
                floor, rule = self.simulator.floor(scan), self.config.targets
                found = read_viewpoints(graph, part, seen, floor, rule)
                parts[name] += [
                    self._draw(found[start : start + _DRAWN_TOGETHER])
                    for start in range(0, len(found), _DRAWN_TOGETHER)
                ]
        self.splits = {
            name: ViewpointSplit(
                [one for part in drawn for one in part.viewpoints],
                torch.cat([part.depth for part in drawn]),
                torch.cat([part.targets for part in drawn]),
            )
            for name, drawn in parts.items()
        }
        count = len(self.splits["train"].viewpoints)
        self._order = ShuffledBatchOrder(count, config.batch_size, config.seed)

    def backward(self, iteration: int) -> Summary:
        """Add the gradient of a batch and return its loss."""
        rows = torch.from_numpy(self._order.batch(iteration))
        train, device = self.splits["train"], self.config.device
        logits = self._logits(train.depth[rows])
        loss = heat_map_loss(logits, train.targets[rows].to(device))
        loss.backward()
        return {"loss": loss.item()}

    def evaluate(self) -> Mapping[str, Summary]:
        """Return the measures of the held-out viewpoints and of those of other houses."""
        return {name: self.score(name) for name in _EVALUATED}

    @torch.no_grad()
    def score(self, name: str) -> Summary:
        """Return the measures of the predicted waypoints of a split."""
        split = self.splits[name]
        parts = split.depth.split(self.config.batch_size)
        maps = torch.cat([self._logits(part).cpu() for part in parts]).numpy()
        return _score_places(
            split.viewpoints, lambda k: candidates(maps[k], self.config.suppression)
        )

    def compare(self, name: str) -> dict[str, Summary]:
        """Return the measures of other waypoints of a split.

        "floor" are the places that agents are given without a predictor, "chance" are the peaks of
        noise, and "target" those of the target maps, which a perfect predictor would find.
        """
        viewpoints, suppression = self.splits[name].viewpoints, self.config.suppression
        noise = Stream.WAYPOINT_CHANCE.rng(self.config.seed)
        noise_maps = noise.standard_normal((len(viewpoints), ANGLES, DISTANCES))

        def on_floor(one: Viewpoint) -> Polar:
            floor: Any = self.simulator.floor(one.scan)
            headings, distances = places_around(floor, one.position)
            return headings - one.heading, distances

        return {
            "floor": _score_places(viewpoints, lambda k: on_floor(viewpoints[k])),
            "chance": _score_places(viewpoints, lambda k: candidates(noise_maps[k], suppression)),
            "target": _score_places(
                viewpoints, lambda k: candidates(viewpoints[k].target, suppression)
            ),
        }

    def start(self, run: Path) -> None:
        """Do nothing: a run has no other files."""

    def _logits(self, depth: Tensor) -> Tensor:
        depth = depth.to(self.config.device).float()
        return self.network.heat_map(depth) if self._is_frozen else self.network(depth)

    def _draw(self, viewpoints: list[Viewpoint]) -> ViewpointSplit:
        pictures = draw_panoramas(
            self.simulator,
            self.network.cameras,
            [one.scan for one in viewpoints],
            np.array([one.position for one in viewpoints]),
            np.array([one.heading for one in viewpoints]),
        )
        depth = torch.from_numpy(pictures["depth"])
        if self._is_frozen:
            depth = self.network.depth_features(depth.to(self.config.device)).cpu()
        targets = torch.from_numpy(np.array([one.target for one in viewpoints])).float()
        return ViewpointSplit(viewpoints, depth.half(), targets)


def predictor_trainer(config: PredictorConfig) -> tuple[Trainer, PredictorLearner]:
    """Build the trainer of a waypoint predictor and its learner."""
    set_up_torch(config.device, config.threads, "highest", config.seed)
    check_run(config)
    learner = PredictorLearner(config)
    noise = partial(iteration_seed, config.seed, Stream.WAYPOINT_NOISE)
    return Trainer(config, learner, noise, _LARGEST_LOSS), learner


def train_predictor(config: PredictorConfig) -> Results:
    """Train a waypoint predictor, and compare its best weights with other waypoints."""
    trainer, learner = predictor_trainer(config)
    trainer.train()
    learner.load_model(trainer.run)
    learner.network.eval()
    results = {
        name: {"predicted": learner.score(name), **learner.compare(name)} for name in _EVALUATED
    }
    trainer.report(results)
    print(table(results, _MEASURES))
    print(f"Run: {trainer.run}")
    return results
