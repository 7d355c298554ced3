"""Timeline of a video: at each step the view rests, then turns and moves to the next viewpoint."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np

from clipnav.envs.drawing.camera import Pose
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.viewer.trace import Trace
from clipnav.viewer.trace.format import position_of

_FULL = 2.5  # times the uniform weight; has full strength if no weight is larger
_READ, _LOOK, _BLEND, _CARD = 1.2, 1.3, 0.35, 3.0  # seconds
_QUICK = 0.16  # seconds of a step or turn of a continuous walk
_PITCH = -0.14  # radians; slightly down, so that the markers on the floor are visible
_SLOPE = 0.6  # pitch of the camera on a slope, relative to the slope of the move
Kind = Literal["look", "turn", "go", "card"]


def strengths(weights: Sequence[float] | np.ndarray) -> np.ndarray:
    """Return display strengths of attention: 0 up to the uniform one, 1 at the largest."""
    values = np.asarray(weights, float)
    uniform = 1 / max(len(values), 1)
    largest = max(_FULL * uniform, float(values.max(initial=0)))
    return np.clip(values - uniform, 0, None) / (largest - uniform)


def blended(
    before: Sequence[float] | None, now: Sequence[float] | None, share: float
) -> np.ndarray | None:
    """Interpolate between the weights of two steps; None if neither has any."""
    if before is None and now is None:
        return None
    old, new = (None if w is None else np.asarray(w, float) for w in (before, now))
    if old is None or new is None:
        weights, part = (new, share) if old is None else (old, 1 - share)
        assert weights is not None
        return part * weights
    return (1 - share) * old + share * new


@dataclass(frozen=True)
class Phase:
    """A part of a video, the same for all walks in it."""

    kind: Kind
    step: int
    seconds: float


@dataclass(frozen=True)
class VideoState:
    """State of one walk in a frame.

    Attributes:
        step: Number of the step whose decision is shown.
        blend: Progress of the transition from the previous step's figures to this step's, 0..1.
        pose: Direction of the camera.
        progress: Progress of the move to the next viewpoint, 0..1.
        opacity: Opacity of the candidate markers, 0..1.
        card: Opacity of the outcome card, 0..1.
    """

    step: int
    blend: float
    pose: Pose
    progress: float = 0.0
    opacity: float = 1.0
    card: float = 0.0


class VideoWalk:
    """Camera path of a trace.

    Args:
        trace: The trace.
        graph: Graph of its building.
    """

    def __init__(self, trace: Trace, graph: NavGraph) -> None:
        self.trace = trace
        self.graph = graph
        self.last = len(trace.steps) - 1
        self.positions = np.array([camera_position(graph, step.viewpoint) for step in trace.steps])
        # Direction of the camera at the start of each step; each step ends with the next one's.
        self._poses = [Pose(trace.steps[0].heading, _PITCH)]
        for number, (here, there) in enumerate(pairwise(self.positions), start=1):
            before = self._poses[-1]
            if trace.is_continuous:
                heading = _nearest_turn(trace.steps[number].heading, before.heading)
                self._poses.append(Pose(heading, _PITCH))
            else:
                self._poses.append(_towards(there - here, before))

    def length(self, step: int) -> float:
        """Return the metres from a step to the next."""
        return float(np.linalg.norm(self.positions[step + 1] - self.positions[step]))

    def turning(self, step: int) -> float:
        """Return the radians that the camera turns at a step."""
        return abs(self._poses[step + 1].heading - self._poses[step].heading)

    def view_attention(self, state: VideoState) -> np.ndarray | None:
        """Return the attention over the 36 views, between the previous step's and this step's."""
        steps = self.trace.steps
        before = steps[state.step - 1].view_attention if state.step else None
        return blended(before, steps[state.step].view_attention, state.blend)

    def state(self, phase: Phase, share: float) -> VideoState:
        """Return the state at a share of a phase."""
        if phase.kind == "card" or phase.step > self.last:
            shown = share if phase.kind == "card" and phase.step == self.last else 1.0
            return VideoState(self.last, 1.0, self._end(self.last), card=min(1.0, 5 * shown))
        step, start = phase.step, self._poses[phase.step]
        if phase.kind == "look":
            blend = min(1.0, share * phase.seconds / _BLEND)
            return VideoState(step, _eased(blend), start, opacity=blend)
        if step == self.last:
            card = 1.0 if phase.kind == "go" else min(1.0, 3 * share)
            return VideoState(step, 1.0, start, card=card)
        end = self._end(step)
        if phase.kind == "turn":
            eased = _eased(share)
            pose = Pose(
                start.heading + eased * (end.heading - start.heading),
                start.pitch + eased * (end.pitch - start.pitch),
            )
            return VideoState(step, 1.0, pose)
        return VideoState(step, 1.0, end, _eased(share), opacity=max(0.0, 1 - 5 * share))

    def _end(self, step: int) -> Pose:
        return self._poses[min(step + 1, self.last)]


def phases(walks: Sequence[VideoWalk]) -> Iterator[Phase]:
    """Yield the parts of a video. If a step of one walk takes longer, the other walk waits."""
    longest = max(walk.last for walk in walks)
    for step in range(longest + 1):
        walking = [walk for walk in walks if step < walk.last]
        if step and walking and all(walk.trace.is_continuous for walk in walking):
            moves = max(walk.length(step) for walk in walking) > 0
            yield Phase("go" if moves else "turn", step, _QUICK)
            continue
        yield Phase("look", step, _LOOK + (_READ if step == 0 else 0.0))
        if walking:
            turn = max(walk.turning(step) for walk in walking)
            if turn > 0.02 or len(walking) < len(walks):
                yield Phase("turn", step, 0.3 + 0.7 * turn / math.pi)
            length = max(walk.length(step) for walk in walking)
            yield Phase("go", step, min(0.6 + 0.15 * length, 1.5))
    yield Phase("card", longest, _CARD)


def times(parts: Sequence[Phase], rate: float) -> Iterator[tuple[Phase, float]]:
    """Yield the phase and the share of it at each frame, at `rate` frames per second."""
    total, started = 0.0, 0
    for part in parts:
        end = round((total + part.seconds) * rate)
        for number in range(started, end):
            yield part, (number + 0.5 - total * rate) / (part.seconds * rate)
        total, started = total + part.seconds, end


def _towards(offset: np.ndarray, before: Pose) -> Pose:
    """Return the pose in the direction of an offset, after the shorter turn from `before`."""
    level = math.hypot(offset[0], offset[1])
    if level < 1e-3:
        return before
    heading = _nearest_turn(math.atan2(offset[0], offset[1]), before.heading)
    slope = math.atan2(offset[2], level)
    return Pose(heading, _PITCH + _SLOPE * slope)


def _nearest_turn(heading: float, before: float) -> float:
    """Return a heading plus whole circles so that it is nearest to the one before, in radians."""
    return before + (heading - before + math.pi) % (2 * math.pi) - math.pi


def camera_position(graph: NavGraph, viewpoint: str) -> np.ndarray:
    """Return the position (3,) of the camera at a viewpoint or free position."""
    free = position_of(viewpoint)
    return graph.positions[graph.index(viewpoint)] if free is None else np.array(free)


def _eased(share: float) -> float:
    return share * share * (3 - 2 * share)
