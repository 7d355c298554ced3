"""Measures of walks in continuous environments, as VLN-CE and ETPNav define them.

Positions may be in any axes, because all measures depend on distances only. docs/continuous.md
lists the definitions and where published implementations differ.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from clipnav.envs.arguments import check_choice
from clipnav.envs.metrics import SUCCESS_THRESHOLD
from clipnav.envs.metrics.path_scores import check_threshold, warping_distance
from clipnav.envs.metrics.table import Metric, by_name, derive, metrics, renamed
from clipnav.storage.errors import UserError
from clipnav.storage.extras import import_extra

Definition = Literal["vlnce", "etpnav"]
Dtw = Literal["exact", "fastdtw"]

# VLN-CE's names of two columns.
_NAMES = {"trajectory_length": "path_length", "nav_error": "distance_to_goal"}
_STEPS = Metric("steps", "steps_taken", 1, "", better="lower")
# Of walks whose collisions are known, which files of walks do not contain.
PHYSICAL_METRICS = by_name(
    Metric("CR", "collision_rate", better="lower"),
    Metric("stuck", "stuck_rate", better="lower"),
    Metric("falls", "falls", 1, "", better="lower"),
)
_FALL = 0.2  # metres downwards in one action, which no agent climbs in habitat


def continuous_metrics() -> dict[str, Metric]:
    """Return the metrics of walks in continuous environments by short name."""
    return {**renamed(metrics("table"), _NAMES), _STEPS.name: _STEPS}


@dataclass(frozen=True, eq=False)
class Walk:
    """Walk of one agent.

    Attributes:
        positions: (T, 3) metres, after the reset and after each action, stop included.
        distances: (T,) geodesic distances from the positions to the goal in metres; inf where no
            walk reaches the goal.
        stopped: Whether the last action was stop.
        collisions: Number of collisions, or None if it is unknown.
        forwards: Number of steps forward.
        stuck: Number of steps forward that moved the agent less than a centimetre.
    """

    positions: np.ndarray
    distances: np.ndarray
    stopped: bool
    collisions: int | None = None
    forwards: int | None = None
    stuck: int | None = None


def measure_walk(
    walk: Walk,
    reference: np.ndarray,
    definition: Definition = "vlnce",
    dtw: Dtw = "exact",
    threshold: float = SUCCESS_THRESHOLD,
) -> dict[str, float]:
    """Return the measures of a walk by VLN-CE's names.

    `vlnce` counts a success if the agent has stopped less than 3 m from the goal (VLN-CE
    `habitat_extensions/measures.py`). `etpnav` counts it if the walk ends at most 3 m from the
    goal, stopped or not (ETPNav `vlnce_baselines/ss_trainer_ETP.py`). An agent that cannot reach
    the goal scores a success and an SPL of 0, where VLN-CE computes NaN.

    Args:
        walk: Walk of the agent.
        reference: (G, 3) positions of the expert's walk, `locations` in VLN-CE's gt files.
        definition: "vlnce" or "etpnav".
        dtw: "exact", or "fastdtw" for the upper bound of the package fastdtw (radius 1) that
            VLN-CE uses by default; it requires the extra `fastdtw`.
        threshold: Success radius in metres; also the scale of nDTW.

    Returns:
        `distance_to_goal`, `oracle_navigation_error`, `path_length` and `dtw` in metres;
        `success`, `oracle_success`, `spl`, `oracle_spl`, `ndtw`, `sdtw` and `soft_spl` in 0..1;
        `steps_taken`, the number of actions; `collisions` if known, with `etpnav` divided by the
        number of positions that differ from the one before, so that it may exceed 1;
        `collisions_per_position`, this division, with either definition. If the steps forward are
        known, `collision_rate` and `stuck_rate`, the shares of them that collide and that move
        the agent less than a centimetre, and `falls`, the number of actions after which it is more
        than 0.2 m lower; heights are z, as in the environments.

    Raises:
        UserError: The walk or the reference is empty, or a choice or the threshold is invalid.
        ModuleNotFoundError: The package fastdtw is missing.
    """
    check_choice("definition", definition, Definition)
    check_choice("dtw", dtw, Dtw)
    check_threshold(threshold)
    positions, reference = _points(walk.positions, "walk"), _points(reference, "reference")
    distances, length = np.asarray(walk.distances, np.float64), _length(positions)
    if distances.shape != (len(positions),):
        raise UserError(f"{len(positions)} positions with {distances.shape} distances")
    final, nearest, ideal = float(distances[-1]), float(distances.min()), float(distances[0])
    near = (np.less if definition == "vlnce" else np.less_equal)(distances, threshold)
    success = float(near[-1] and (walk.stopped or definition == "etpnav"))
    efficiency = _efficiency(ideal, length)
    spl = oracle_spl = success * efficiency
    if definition == "etpnav":
        # Up to the first of the successes, the largest one without a stop.
        first = _length(positions[: near.argmax() + 1])
        oracle_spl = _efficiency(ideal, first) if near.any() else 0.0
    moved = moved_positions(positions)
    if dtw == "fastdtw":
        package = import_extra("fastdtw", "fastdtw", "--dtw fastdtw")
        norm = np.linalg.norm
        warped = float(package.fastdtw(moved, reference, dist=lambda a, b: float(norm(a - b)))[0])
    else:
        between = np.linalg.norm(moved[:, None] - reference[None], axis=2)
        warped = warping_distance(between.tolist())
    ndtw = float(np.exp(-warped / (threshold * len(reference))))
    measures = {
        "distance_to_goal": final,
        "success": success,
        "oracle_success": float(near.any()),
        "oracle_navigation_error": nearest,
        "spl": spl,
        "oracle_spl": oracle_spl,
        "soft_spl": _progress(ideal, final) * efficiency,
        "path_length": length,
        "steps_taken": float(len(positions) - 1),
        "dtw": warped,
        "ndtw": ndtw,
    }
    others = {name: measures[own] for name, own in _NAMES.items()}
    measures = {n: v for n, v in derive(measures | others).items() if n not in others}
    if walk.collisions is not None:
        measures["collisions"] = walk.collisions / (len(moved) if definition == "etpnav" else 1)
        measures["collisions_per_position"] = walk.collisions / len(moved)
    if walk.collisions is not None and walk.forwards is not None and walk.stuck is not None:
        measures["collision_rate"] = walk.collisions / max(walk.forwards, 1)
        measures["stuck_rate"] = walk.stuck / max(walk.forwards, 1)
        measures["falls"] = float((np.diff(positions[:, 2]) < -_FALL).sum())
    return measures


def moved_positions(positions: np.ndarray) -> np.ndarray:
    """Return positions (T, 3) without those that equal the one before in all float32 coordinates.

    VLN-CE drops these, so turns and blocked moves do not count in nDTW.
    """
    single = np.asarray(positions, np.float32)
    moved = np.ones(len(single), bool)
    moved[1:] = (single[1:] != single[:-1]).any(axis=1)
    return np.asarray(positions)[moved]


def summarise_walks(measures: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Return the mean of each measure under its short name, see `continuous_metrics`.

    `PHYSICAL_METRICS` and the collisions are added if all walks have them.

    Walks whose goal is unreachable count with a success of 0, are left out of the mean `NE` and
    counted in `unreachable`. `NE` is NaN if all goals are unreachable. `episodes` is the number of
    walks.
    """
    if not measures:
        raise UserError("no walk to summarise")
    if not all(measures):
        raise UserError(
            "walks without measures, because the goals of their split are secret; walk a "
            "validation split"
        )
    columns = {
        short: np.array([walk[metric.column] for walk in measures])
        for short, metric in continuous_metrics().items()
    }
    reached = np.isfinite(columns["NE"])
    columns["NE"] = columns["NE"][reached]
    means = {short: _mean(column) for short, column in columns.items()}
    extras = {short: metric.column for short, metric in PHYSICAL_METRICS.items()}
    extras |= {name: name for name in ("collisions", "collisions_per_position")}
    for short, column in extras.items():
        if all(column in walk for walk in measures):
            means[short] = _mean(np.array([walk[column] for walk in measures]))
    unreachable = len(measures) - int(reached.sum())
    return {**means, "unreachable": unreachable, "episodes": len(measures)}


def _mean(column: np.ndarray) -> float:
    return float(column.mean()) if len(column) else float("nan")


def _points(points: Any, kind: str) -> np.ndarray:
    points = np.asarray(points, np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not len(points):
        raise UserError(f"the {kind} must have shape (T, 3) with T >= 1, not {points.shape}")
    return points


def _efficiency(ideal: float, length: float) -> float:
    """Return the length of the shortest walk divided by that of the walk, at most 1."""
    if not np.isfinite(ideal):
        return 0.0
    longest = max(ideal, length)
    return ideal / longest if longest else 1.0  # an agent that starts at the goal and stays


def _length(positions: np.ndarray) -> float:
    return float(np.linalg.norm(np.diff(positions, axis=0), axis=1).sum())


def _progress(ideal: float, final: float) -> float:
    """Return habitat-lab's soft success, the share of the distance that the agent has covered."""
    if not (np.isfinite(ideal) and np.isfinite(final) and ideal):
        return float(final == 0.0)
    return max(0.0, 1.0 - final / ideal)
