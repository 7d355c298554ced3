"""Continuous walks by hand: steps of 25 cm and turns."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

import numpy as np

from clipnav.envs.continuous.settings import RIGHT, STOP
from clipnav.envs.pictures.panorama_files import QUALITY, WIDTHS, Pictures
from clipnav.storage.errors import UserError
from clipnav.storage.pictures import encode_jpeg
from clipnav.viewer.site.library import Entry
from clipnav.viewer.trace import Trace, TraceStep
from clipnav.viewer.trace.continuous import ACTIONS, MOTIONS, ContinuousRecorder, after_action
from clipnav.viewer.trace.format import Ending, Motion, position_of

_WIDEST = WIDTHS[1]  # wider panoramas take seconds
_KEPT = 256  # panoramas in memory, of 100 to 300 kB each

# Renders a panorama (H, 2H, 3) uint8 of a house at a position (3,): (scan, position, width).
DrawAt = Callable[[str, np.ndarray, int], np.ndarray]


class FreePictures:
    """Source of panoramas that also has those of free positions, in memory only."""

    note = ""

    def __init__(self, pictures: Pictures, draw: DrawAt) -> None:
        self._pictures = pictures
        self._draw, self._drawing = draw, Lock()
        self._jpeg = lru_cache(_KEPT)(self._make)

    def jpeg(self, scan: str, viewpoint: str, width: int) -> bytes:
        """Return a panorama of a viewpoint or position; see `Pictures`."""
        if position_of(viewpoint) is None:
            return self._pictures.jpeg(scan, viewpoint, width)
        return self._jpeg(scan, viewpoint, min(width, _WIDEST))

    def finest(self, scan: str, viewpoint: str, widths: Sequence[int]) -> int:
        """Return the largest width that needs no rendering, or the first one; see `Pictures`."""
        if position_of(viewpoint) is None:
            return self._pictures.finest(scan, viewpoint, widths)
        return widths[0]

    def rgb(self, scan: str, viewpoint: str, width: int) -> np.ndarray:
        """Return the colours around a viewpoint; see `PanoramaSource`."""
        return self._pictures.rgb(scan, viewpoint, width)

    def distance(self, scan: str, viewpoint: str, width: int) -> np.ndarray:
        """Return the distances around a viewpoint; see `PanoramaSource`."""
        return self._pictures.distance(scan, viewpoint, width)

    def _make(self, scan: str, name: str, width: int) -> bytes:
        position = position_of(name)
        assert position is not None
        with self._drawing:  # ray tracers are built on first use
            return encode_jpeg(self._draw(scan, np.array(position), width), QUALITY)


def house_free_pictures(pictures: Pictures) -> FreePictures:
    """Return the pictures of the built-in houses with those of free positions."""
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
    from clipnav.envs.panoramas import render_panorama

    houses = HousePanoramas()

    def draw(scan: str, position: np.ndarray, width: int) -> np.ndarray:
        return render_panorama(houses.tracer(scan), position, width).rgb

    return FreePictures(pictures, draw)


class ContinuousDriver:
    """Begins continuous walks and carries out their actions in one environment."""

    def __init__(self, recorder: ContinuousRecorder) -> None:
        self._recorder, self._lock = recorder, Lock()
        self._current: tuple[str, tuple[Motion, ...]] | None = None  # state of the environment
        self._info: Mapping[str, Any] = {}

    def begin(self, entry: Entry) -> "ContinuousManualWalk":
        """Return the walk of an episode before its first action."""
        return ContinuousManualWalk(self, entry.episode.instr_id, (), (), "under way")

    def place(self, instr_id: str, motions: tuple[Motion, ...]) -> TraceStep:
        """Return the step after some actions of an episode, without an action."""
        with self._lock:
            self._reach(instr_id, motions)
            return self._recorder.step(self._info, 0, None)

    def act(self, instr_id: str, motions: tuple[Motion, ...], motion: Motion) -> TraceStep:
        """Return the step at which an action is carried out after others."""
        with self._lock:
            self._reach(instr_id, motions)
            step = self._recorder.step(self._info, 0, motion)
            self._step(motion)
            self._current = instr_id, (*motions, motion)
            return after_action(step, self._info, 0)

    def trace(self, instr_id: str, steps: Sequence[TraceStep], ending: Ending) -> Trace:
        """Return the trace of a walk."""
        return self._recorder.trace(instr_id, steps, ending)

    def _reach(self, instr_id: str, motions: tuple[Motion, ...]) -> None:
        if self._current == (instr_id, motions):
            return
        _, self._info = self._recorder.env.reset(options={"episode_ids": [instr_id]})
        for motion in motions:
            self._step(motion)
        self._current = instr_id, motions

    def _step(self, motion: Motion) -> None:
        *_, self._info = self._recorder.env.step(np.array([ACTIONS[motion]]))


class ContinuousManualWalk:
    """One walk, up to a step; see `clipnav.viewer.site.manual_walks.ManualEpisode`.

    Attributes:
        trace: Trace of the walk so far; its last step has no action before the stop.
    """

    def __init__(
        self,
        driver: ContinuousDriver,
        instr_id: str,
        motions: tuple[Motion, ...],
        steps: tuple[TraceStep, ...],
        ending: Ending,
    ) -> None:
        self._driver, self._instr_id = driver, instr_id
        self._motions, self._steps = motions, steps
        shown = steps if ending == "stopped" else (*steps, driver.place(instr_id, motions))
        self.trace = driver.trace(instr_id, shown, ending)

    @property
    def moves(self) -> int:
        """Number of actions before the last step."""
        return len(self.trace.steps) - 1

    @property
    def over(self) -> bool:
        """Whether the user has stopped."""
        return self.trace.ending == "stopped"

    def after(self, action: int) -> "ContinuousManualWalk":
        """Return the walk after an action: 0 stop, 1 forward, 2 left, 3 right."""
        if self.over:
            raise UserError("this walk is over; start another one")
        if not STOP <= action <= RIGHT:
            raise UserError(f"action {action} is not in {STOP}..{RIGHT}")
        motion: Motion = MOTIONS[action]
        step = self._driver.act(self._instr_id, self._motions, motion)
        ending: Ending = "stopped" if motion == "stop" else "under way"
        motions: tuple[Motion, ...] = (*self._motions, motion)
        steps = (*self._steps, step)
        return ContinuousManualWalk(self._driver, self._instr_id, motions, steps, ending)

    def repeating(self, trace: Trace, steps: int) -> "ContinuousManualWalk":
        """Return the walk after the first actions of a trace, without its stop."""
        walk = self
        for step in trace.steps[:steps]:
            if step.motion is None or step.motion == "stop":
                break
            if ACTIONS[step.motion] <= RIGHT:  # walks by hand do not tilt the camera
                walk = walk.after(ACTIONS[step.motion])
        return walk
