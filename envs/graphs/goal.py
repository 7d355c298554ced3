"""Goal: the viewpoints at which an episode may end; and the object that an agent points out."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

_AT = np.finfo(float).tiny  # metres; only the distance 0 is less


@dataclass(frozen=True)
class Goal:
    """Viewpoints at which an episode may end; its distance is that of the nearest one.

    Attributes:
        viewpoints: Viewpoints of the goal, without repetitions.
        radius: Success radius in metres (a success is strictly nearer); 0 if only the viewpoints
            of the goal themselves are a success; None for that of the metrics, 3 m by default.
        spl_end: Viewpoint to which SPL measures the shortest path; None for the nearest one.
        object_id: Id of the object to find, or None.
        category: Name of the object to find, or None.
        player_path: Path of the person who looked for the goal; () if there is none.
    """

    viewpoints: tuple[str, ...]
    radius: float | None = None
    spl_end: str | None = None
    object_id: str | None = None
    category: str | None = None
    player_path: tuple[str, ...] = ()

    @property
    def spl_ends(self) -> tuple[str, ...]:
        """Viewpoints to the nearest of which SPL measures the shortest path."""
        return self.viewpoints if self.spl_end is None else (self.spl_end,)

    def object_at(self, viewpoint: str) -> str | None:
        """Return the id of the object to point out at a viewpoint, None where there is none."""
        return self.object_id if viewpoint in self.viewpoints else None

    def success_radius(self, default: float) -> float:
        """Return the metres that the distance of a success is less than."""
        return radius_of(self, default) or _AT


def radius_of(goal: Goal | None, default: float) -> float:
    """Return the radius of a goal in metres, 0 if only its viewpoints are a success.

    Args:
        goal: The goal; None if it is the end of the path.
        default: Radius of goals without one of their own.
    """
    return default if goal is None or goal.radius is None else goal.radius


class ObjectAnswer(NamedTuple):
    """Object that an agent points out where it stops.

    Attributes:
        object_id: Id of the object in its building.
        heading: Heading of its box in radians clockwise from +y.
        elevation: Elevation of its box in radians above the horizon.
    """

    object_id: str
    heading: float
    elevation: float
