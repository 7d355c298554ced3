"""Continuous walks by hand: steps of 25 cm and turns."""

from collections.abc import Mapping, Sequence
from threading import Lock
from typing import Any

import numpy as np

from clipnav.envs.continuous.settings import RIGHT, STOP
from clipnav.storage.errors import UserError
from clipnav.viewer.site.library import Entry
from clipnav.viewer.trace import Step, Trace
from clipnav.viewer.trace.continuous import ACTIONS, MOTIONS, ContinuousRecorder, after_action
from clipnav.viewer.trace.format import Ending, Motion


class ContinuousDriver:
    """Begins continuous walks and carries out their actions in one environment."""

    def __init__(self, recorder: ContinuousRecorder) -> None:
        self._recorder, self._lock = recorder, Lock()
        self._current: tuple[str, tuple[Motion, ...]] | None = None  # state of the environment
        self._info: Mapping[str, Any] = {}

    def begin(self, entry: Entry) -> "ContinuousManualWalk":
        """Return the walk of an episode before its first action."""
        return ContinuousManualWalk(self, entry.episode.instr_id, (), (), "under way")

    def place(self, instr_id: str, motions: tuple[Motion, ...]) -> Step:
        """Return the step after some actions of an episode, without an action."""
        with self._lock:
            self._reach(instr_id, motions)
            return self._recorder.step(self._info, 0, None)

    def act(self, instr_id: str, motions: tuple[Motion, ...], motion: Motion) -> Step:
        """Return the step at which an action is carried out after others."""
        with self._lock:
            self._reach(instr_id, motions)
            step = self._recorder.step(self._info, 0, motion)
            self._step(motion)
            self._current = instr_id, (*motions, motion)
            return after_action(step, self._info, 0)

    def trace(self, instr_id: str, steps: Sequence[Step], ending: Ending) -> Trace:
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
    """One walk, up to a step; see `clipnav.viewer.site.manual_walks.HandWalk`.

    Attributes:
        trace: Trace of the walk so far; its last step has no action before the stop.
    """

    def __init__(
        self,
        driver: ContinuousDriver,
        instr_id: str,
        motions: tuple[Motion, ...],
        steps: tuple[Step, ...],
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
