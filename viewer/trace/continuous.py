"""Traces of continuous walks, recorded while an agent acts in the environment."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from clipnav.envs.base.infos import start_episodes
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.measures import Walk, continuous_metrics
from clipnav.envs.continuous.settings import FORWARD, LEFT, LOOK_DOWN, LOOK_UP, RIGHT, STOP
from clipnav.envs.continuous.walkers import Walker
from clipnav.envs.episodes import Episode
from clipnav.viewer.trace.building import Setting, trace_of
from clipnav.viewer.trace.format import Ending, Motion, Trace, TraceStep, position_name

MOTIONS: dict[int, Motion] = {
    STOP: "stop",
    FORWARD: "forward",
    LEFT: "left",
    RIGHT: "right",
    LOOK_UP: "look up",
    LOOK_DOWN: "look down",
}
ACTIONS = {motion: action for action, motion in MOTIONS.items()}


class ContinuousRecorder:
    """Records walks in a continuous environment."""

    def __init__(
        self, env: ContinuousVectorEnv, episodes: Sequence[Episode], setting: Setting
    ) -> None:
        self.env = env
        self.setting = setting
        self._episodes = {episode.instr_id: episode for episode in episodes}

    def record(self, instr_ids: Sequence[str], walker: Walker | None = None) -> list[Trace]:
        """Walk episodes, any number of them, and return their traces in the same order.

        Args:
            instr_ids: The episodes.
            walker: Chooses the actions; the environment's teacher by default.
        """
        size = self.env.num_envs
        batches = [instr_ids[start : start + size] for start in range(0, len(instr_ids), size)]
        return [trace for batch in batches for trace in self._record_batch(batch, walker)]

    def _record_batch(self, instr_ids: Sequence[str], walker: Walker | None) -> list[Trace]:
        env = self.env
        observation, info, live = start_episodes(env, instr_ids)
        if walker is not None:
            walker.start(observation, info)
        steps: list[list[TraceStep]] = [[] for _ in instr_ids]
        stopped = np.zeros(env.num_envs, bool)
        while live.size:
            if walker is None:
                actions = env.teacher_actions()
            else:
                actions = walker.act(observation, info, live)
            here = {row: self.step(info, row, MOTIONS[int(actions[row])]) for row in live.tolist()}
            observation, _, stopped, truncated, info = env.step(actions)
            for row, step in here.items():
                steps[row].append(after_action(step, info, row))
            for row in live[truncated[live]].tolist():
                steps[row].append(self.step(info, row, None, cut_off=True))
            live = live[~(stopped | truncated)[live]]
        endings: list[Ending] = [
            "stopped" if stopped[row] else "cut off" for row in range(len(steps))
        ]
        return [
            self.trace(instr_id, own, ending)
            for instr_id, own, ending in zip(instr_ids, steps, endings, strict=True)
        ]

    def step(
        self, info: Mapping[str, Any], row: int, motion: Motion | None, cut_off: bool = False
    ) -> TraceStep:
        """Return the step of an agent that is about to act.

        Its measures are those of the walk so far as if it stopped there.
        """
        env = self.env
        x, y, z = info["position"][row].tolist()
        distance = float(info["distance_to_goal"][row])
        record = env.record(row)
        return TraceStep(
            viewpoint=position_name((x, y, z + env.settings.camera_height)),
            heading=round(float(info["heading"][row]), 4),
            elevation=round(float(info["tilt"][row]), 4),
            candidates=(),
            action=0 if motion == "stop" else None,
            motion=motion,
            distance_to_goal=round(distance, 3) if np.isfinite(distance) else None,
            metrics={} if record is None else self._measures(*record, not cut_off),
        )

    def _measures(self, number: int, walk: Walk, stopped: bool) -> dict[str, float]:
        measured = self.env.experts.measure(number, replace(walk, stopped=stopped))
        return _short(measured)

    def trace(self, instr_id: str, steps: Sequence[TraceStep], ending: Ending) -> Trace:
        """Return the trace of a walk."""
        return trace_of(self.setting, self._episodes[instr_id], steps, ending)


def after_action(step: TraceStep, info: Mapping[str, Any], row: int) -> TraceStep:
    """Return a step with what its action led to."""
    changes: dict[str, Any] = {"collided": bool(info["collided"][row])}
    if step.motion == "stop" and "metrics" in info and info["_metrics"][row]:
        final = {
            name: float(values[row]) for name, values in info["metrics"].items() if name[0] != "_"
        }
        changes["metrics"] = _short(final)
    return msgspec.structs.replace(step, **changes)


def _short(measures: Mapping[str, float]) -> dict[str, float]:
    """Return measures by their short names; unreachable goals have none."""
    found = {
        name: float(measures[metric.column])
        for name, metric in continuous_metrics().items()
        if metric.column in measures
    }
    return {name: round(value, 4) for name, value in found.items() if np.isfinite(value)}
