"""Places of an episode, numbered in the order of first sight, as in MapGPT.

A model never sees the viewpoint ids of the graph: 32 hexadecimal digits cost tokens, and may occur
in its training data.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.pictures.view_pictures import ViewPose


@dataclass(frozen=True)
class Candidate:
    """Neighbour of the current viewpoint, with its exact direction.

    Attributes:
        action: Action of the environment that leads there.
        viewpoint: Its viewpoint.
        heading: Absolute heading in radians.
        distance: Metres.
        rise: Metres by which its camera is higher.
    """

    action: int
    viewpoint: str
    heading: float
    distance: float
    rise: float


def candidates_of(world: NavWorld, node: int) -> list[Candidate]:
    """Return the candidates of a node in the environment's order."""
    graph = world.graphs[world.scan_names[node]]
    here = graph.positions[world.locals[node]]
    candidates = []
    for action in np.flatnonzero(world.valid[node, 1:]) + 1:
        target = world.targets[node, action]
        offset = graph.positions[world.locals[target]] - here
        candidates.append(
            Candidate(
                action=int(action),
                viewpoint=str(world.viewpoint_ids[target]),
                heading=float(np.arctan2(offset[0], offset[1])),
                distance=float(np.linalg.norm(offset)),
                rise=float(offset[2]),
            )
        )
    return candidates


class KnownPlaces:
    """Places that an agent has visited or seen as candidates.

    Attributes:
        trajectory: Numbers of the places walked, repetitions included.
        connections: Numbers of the candidates of each visited place.
        views: Picture of each place: the view from where it was last seen as a candidate. The
            start has none until then.
    """

    def __init__(self) -> None:
        self.trajectory: list[int] = []
        self.connections: dict[int, tuple[int, ...]] = {}
        self.views: dict[int, ViewPose] = {}
        self._numbers: dict[str, int] = {}

    def arrive(self, scan: str, viewpoint: str, candidates: Sequence[Candidate]) -> None:
        """Record the arrival at a viewpoint: first it gets a number, then its candidates do."""
        here = self._number(viewpoint)
        self.trajectory.append(here)
        self.connections[here] = tuple(self._number(one.viewpoint) for one in candidates)
        for candidate in candidates:
            number = self.number(candidate.viewpoint)
            self.views[number] = ViewPose(scan, viewpoint, candidate.heading)

    def number(self, viewpoint: str) -> int:
        """Return the number of a known viewpoint."""
        return self._numbers[viewpoint]

    @property
    def current(self) -> int:
        """Number of the place where the agent is."""
        return self.trajectory[-1]

    def __len__(self) -> int:
        return len(self._numbers)

    def _number(self, viewpoint: str) -> int:
        return self._numbers.setdefault(viewpoint, len(self._numbers))
