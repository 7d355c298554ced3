"""What a simulator of continuous navigation provides; environments, experts and scores build on it.

All positions are float64 (N, 3) in metres in the axes of the navigation graphs (z up), the point
under the feet. Headings are radians clockwise from +y.
"""

from collections.abc import Sequence
from typing import Protocol, get_args

import numpy as np

from clipnav.envs.continuous.settings import Camera, ContinuousSettings
from clipnav.storage.errors import UserError

_OF_BODY = ("agent_radius", "agent_height")
_OF_CAMERAS = ("camera_height", "hfov", "rgb_size", "depth_size")


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


class Simulator(Protocol):
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


def check_simulator(simulator: Simulator, settings: ContinuousSettings) -> None:
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
