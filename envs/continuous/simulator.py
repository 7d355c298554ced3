"""What a simulator of continuous navigation provides; environments, experts and scores build on it.

All positions are float64 (N, 3) in metres in the axes of the navigation graphs (z up), the point
under the feet. Headings are radians clockwise from +y.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, get_args

import numpy as np

from clipnav.envs.continuous.settings import Camera, ContinuousSettings
from clipnav.storage.errors import UserError

_OF_BODY = ("agent_radius", "agent_height")
_OF_CAMERAS = ("camera_height", "hfov", "rgb_size", "depth_size")
HEADINGS = np.arange(4) * np.pi / 2
_BATCH = 16  # pictures that are drawn and compared at a time
_NEAR = 0.01  # metres


class Floor(Protocol):
    """The places of a building where an agent can stand, and the walks between them.

    `clipnav.envs.continuous.floor.ContinuousFloor` is the floor of a built-in house.
    """

    def project(self, positions: np.ndarray) -> np.ndarray:
        """Return the nearest positions (N, 3) on the floor."""
        ...

    def contains(self, positions: np.ndarray) -> np.ndarray:
        """Return (N,) bool, whether an agent can stand at the positions."""
        ...

    def clearance(self, positions: np.ndarray) -> np.ndarray:
        """Return (N,) metres from the agent's outline to the nearest obstacle."""
        ...

    def step(
        self,
        positions: np.ndarray,
        headings: np.ndarray,
        distance: float | np.ndarray,
        sliding: bool,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the positions (N, 3) after a step forward, and (N,) bool, who collided.

        `distance` is one length for all agents, or (N,) lengths if there is actuation noise.
        """
        ...

    def distances(self, positions: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return the (N,) geodesic distances in metres to a goal (3,) or to goals (N, 3).

        The distance to a goal that no walk reaches is inf.
        """
        ...

    def shortest_path(self, start: np.ndarray, goal: np.ndarray) -> np.ndarray:
        """Return the corners (M, 3) of the shortest walk, both ends included."""
        ...


class ContinuousSimulator(Protocol):
    """Buildings with floors, and cameras in them.

    An environment checks a simulator with an attribute `settings`, see `check_simulator`.
    """

    def floor(self, scan: str) -> Floor:
        """Return the floor of a building for the radius of the agent."""
        ...

    def draw(
        self,
        scans: Sequence[str],
        positions: np.ndarray,
        headings: np.ndarray,
        tilts: np.ndarray,
        sensors: Sequence[str],
    ) -> dict[str, np.ndarray]:
        """Draw the pictures of N cameras.

        Args:
            positions: (N, 3) points under the feet of the agents.
            headings: (N,) radians clockwise from +y.
            tilts: (N,) radians above the horizon.

        Returns:
            "rgb" (N, H, W, 3) uint8 and "depth" (N, H, W) float32, planar depth in metres, 0 where
            nothing was hit, not clipped.
        """
        ...


def check_simulator(simulator: ContinuousSimulator, settings: ContinuousSettings) -> None:
    """Check that a simulator has the body of an environment, and its cameras if it draws.

    A simulator uses only its own settings, so other ones of the environment would have no effect.
    Simulators without the attribute `settings` are not checked.
    """
    own = getattr(simulator, "settings", None)
    if not isinstance(own, ContinuousSettings):
        return
    is_drawn = settings.render_mode is not None or not {*get_args(Camera)}.isdisjoint(
        settings.observe
    )
    names = (*_OF_BODY, *_OF_CAMERAS) if is_drawn else _OF_BODY
    different = [
        f"{name} is {getattr(own, name)} in the simulator and {getattr(settings, name)} in the "
        "environment"
        for name in names
        if getattr(own, name) != getattr(settings, name)
    ]
    if different:
        raise UserError(f"{', '.join(different)}; pass the same settings to both")


@dataclass(frozen=True)
class SimulatorComparison:
    """Differences between two simulators.

    Attributes:
        scan: Name of the building.
        views: Number of pictures.
        psnr: Median over the pictures of the peak signal-to-noise ratio of the colours in dB.
        depth_error: Median absolute difference of the depth in metres, where both hit something.
        depth_share: Share of these pixels whose depth differs by at most 1 cm.
        sky_share: Share of the pixels in which only one of both hits something.
        pairs: Number of pairs of positions.
        distance_error: Median difference of geodesic distances, relative to the first simulator's.
        largest_distance_error: The largest one.
        unreachable: Number of pairs that are connected in only one of both.
    """

    scan: str
    views: int
    psnr: float
    depth_error: float
    depth_share: float
    sky_share: float
    pairs: int
    distance_error: float
    largest_distance_error: float
    unreachable: int


def compare_simulators(
    scan: str,
    first: ContinuousSimulator,
    second: ContinuousSimulator,
    positions: np.ndarray,
    pairs: int,
    seed: int = 0,
) -> SimulatorComparison:
    """Compare two simulators with the same settings.

    Args:
        positions: (N, 3) positions on the floor; at each, four directions are drawn.
    """
    psnr, errors, one_sided = [], [], []
    places = positions.repeat(len(HEADINGS), axis=0)
    headings = np.tile(HEADINGS, len(positions))
    for start in range(0, len(places), _BATCH):
        rows = slice(start, start + _BATCH)
        names = [scan] * len(places[rows])
        poses = names, places[rows], headings[rows], np.zeros(len(names)), ("rgb", "depth")
        mine, other = first.draw(*poses), second.draw(*poses)
        squares = (mine["rgb"].astype(float) - other["rgb"]) ** 2
        with np.errstate(divide="ignore"):  # equal pictures have an infinite PSNR
            psnr += (10 * np.log10(255**2 / squares.mean(axis=(1, 2, 3)))).tolist()
        hit = (mine["depth"] > 0) & (other["depth"] > 0)
        errors.append(np.abs(mine["depth"] - other["depth"])[hit])
        one_sided.append(((mine["depth"] > 0) != (other["depth"] > 0)).ravel())
    error, sky = np.concatenate(errors), np.concatenate(one_sided)
    relative, unreachable = _distance_errors(scan, first, second, positions, pairs, seed)
    return SimulatorComparison(
        scan=scan,
        views=len(places),
        psnr=float(np.median(psnr)),
        depth_error=float(np.median(error)),
        depth_share=float((error <= _NEAR).mean()),
        sky_share=float(sky.mean()),
        pairs=pairs,
        distance_error=float(np.median(relative)),
        largest_distance_error=float(relative.max()),
        unreachable=unreachable,
    )


def _distance_errors(
    scan: str,
    first: ContinuousSimulator,
    second: ContinuousSimulator,
    positions: np.ndarray,
    pairs: int,
    seed: int,
) -> tuple[np.ndarray, int]:
    """Return relative differences (M,), and the number of pairs connected in one of both only."""
    rng = np.random.default_rng(seed)
    starts = rng.integers(len(positions), size=pairs)
    # Another position than the start.
    ends = (starts + rng.integers(1, len(positions), size=pairs)) % len(positions)
    mine, other = (
        simulator.floor(scan).distances(positions[starts], positions[ends])
        for simulator in (first, second)
    )
    known = np.isfinite(mine) & np.isfinite(other)
    relative = np.abs(other[known] - mine[known]) / mine[known]
    one_sided = np.isfinite(mine) != np.isfinite(other)
    return relative if known.any() else np.array([np.nan]), int(one_sided.sum())
