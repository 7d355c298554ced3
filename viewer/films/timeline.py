"""What happens when in a film: each step is looked at, then turned to and walked."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from envs.graphs.nav_graph import NavGraph
from viewer.films.camera import Pose
from viewer.trace import Trace

_READ, _LOOK, _FRESH, _CARD = 1.2, 1.3, 0.35, 3.0  # seconds
_PITCH = -0.14  # radians; a little down, so that the marks on the floor are seen
_SLOPE = 0.6  # share of the elevation of what is walked to that the camera takes up

Kind = Literal["look", "turn", "go", "card"]


@dataclass(frozen=True)
class Phase:
    """A part of a film, the same for all who are filmed."""

    kind: Kind
    step: int
    seconds: float


@dataclass(frozen=True)
class Moment:
    """What is shown of a walk at a time.

    Attributes:
        step: Number of the step whose decision is shown.
        fresh: How far its figures have taken the place of those of the step before, 0..1.
        pose: Of the camera.
        along: Part of the way to the next step's place.
        settled: How far the marks of the places are shown, 0..1.
        ended: The same of how the walk ended.
    """

    step: int
    fresh: float
    pose: Pose
    along: float = 0.0
    settled: float = 1.0
    ended: float = 0.0


class Walk:
    """A trace as it is filmed.

    Args:
        trace: The trace.
        graph: Of its building.
    """

    def __init__(self, trace: Trace, graph: NavGraph) -> None:
        self.trace = trace
        self.graph = graph
        self.last = len(trace.steps) - 1
        places = [graph.index(step.viewpoint) for step in trace.steps]
        self.positions = graph.positions[places]
        # Where the camera looks at the beginning of each step, and at its end.
        self._poses = [Pose(trace.steps[0].heading, _PITCH)]
        for here, there in pairwise(self.positions):
            self._poses.append(_towards(there - here, self._poses[-1]))

    def length(self, step: int) -> float:
        """Metres from a step to the next."""
        return float(np.linalg.norm(self.positions[step + 1] - self.positions[step]))

    def turning(self, step: int) -> float:
        """Radians from where the camera looks at a step to where it goes."""
        return abs(self._poses[step + 1].heading - self._poses[step].heading)

    def moment(self, phase: Phase, share: float) -> Moment:
        """What is shown at a share of a phase."""
        if phase.kind == "card" or phase.step > self.last:
            shown = share if phase.kind == "card" and phase.step == self.last else 1.0
            return Moment(self.last, 1.0, self._end(self.last), ended=min(1.0, 5 * shown))
        step, begin = phase.step, self._poses[phase.step]
        if phase.kind == "look":
            fresh = min(1.0, share * phase.seconds / _FRESH)
            return Moment(step, _eased(fresh), begin, settled=fresh)
        if step == self.last:
            ended = 1.0 if phase.kind == "go" else min(1.0, 3 * share)
            return Moment(step, 1.0, begin, ended=ended)
        end = self._end(step)
        if phase.kind == "turn":
            part = _eased(share)
            pose = Pose(
                begin.heading + part * (end.heading - begin.heading),
                begin.pitch + part * (end.pitch - begin.pitch),
            )
            return Moment(step, 1.0, pose)
        return Moment(step, 1.0, end, _eased(share), settled=max(0.0, 1 - 5 * share))

    def _end(self, step: int) -> Pose:
        return self._poses[min(step + 1, self.last)]


def phases(walks: Sequence[Walk]) -> Iterator[Phase]:
    """The parts of a film; where one walk takes longer for a step the others wait."""
    longest = max(walk.last for walk in walks)
    for step in range(longest + 1):
        yield Phase("look", step, _LOOK + (_READ if step == 0 else 0.0))
        walking = [walk for walk in walks if step < walk.last]
        if walking:
            turn = max(walk.turning(step) for walk in walking)
            if turn > 0.02 or len(walking) < len(walks):
                yield Phase("turn", step, 0.3 + 0.7 * turn / math.pi)
            way = max(walk.length(step) for walk in walking)
            yield Phase("go", step, min(0.6 + 0.15 * way, 1.5))
    yield Phase("card", longest, _CARD)


def times(parts: Sequence[Phase], rate: float) -> Iterator[tuple[Phase, float]]:
    """Phase and share of it at each frame of a film with so many frames a second."""
    total, started = 0.0, 0
    for part in parts:
        end = round((total + part.seconds) * rate)
        for number in range(started, end):
            yield part, (number + 0.5 - total * rate) / (part.seconds * rate)
        total, started = total + part.seconds, end


def _towards(way: np.ndarray, before: Pose) -> Pose:
    """Look along a way, by the shorter turn from where one looked before."""
    across = math.hypot(way[0], way[1])
    if across < 1e-3:
        return before
    turn = math.atan2(way[0], way[1]) - before.heading
    turn = (turn + math.pi) % (2 * math.pi) - math.pi
    slope = math.atan2(way[2], across)
    return Pose(before.heading + turn, _PITCH + _SLOPE * slope)


def _eased(share: float) -> float:
    return share * share * (3 - 2 * share)
