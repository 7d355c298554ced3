"""Traces of continuous walks."""

import msgspec
import numpy as np
import pytest

from clipnav.envs.continuous.settings import FORWARD
from clipnav.viewer.trace import outcome, read_traces, write_trace
from clipnav.viewer.trace.format import position_name, position_of, problems


@pytest.mark.parametrize("position", [(1.25, -3.5, 1.25), (0, -0.0001, 99999), (-12.3456, 7, 0.5)])
def test_positions_survive_their_names(position):
    np.testing.assert_allclose(position_of(position_name(position)), position, atol=5.1e-4)


@pytest.mark.parametrize(
    "name", ["b0", "", "@", "@1,2,3", "@1.000,2.000", "@nan,0.000,0.000", "@../x,1.000,1.000"]
)
def test_other_names_are_no_positions(name):
    assert position_of(name) is None


def test_the_experts_walk_is_recorded(expert_trace, make_recorder):
    trace, settings = expert_trace, make_recorder("x").env.settings
    assert trace.is_continuous
    assert list(problems(trace)) == []
    assert outcome(trace) == "success"
    assert trace.ending == "stopped"
    positions = np.array([position_of(step.viewpoint) for step in trace.steps])
    for step, after, here, there in zip(
        trace.steps, trace.steps[1:], positions, positions[1:], strict=False
    ):
        turn = np.rad2deg(after.heading - step.heading + np.pi) % 360 - 180
        moved = np.linalg.norm((there - here)[:2])
        if step.motion == "forward":
            assert abs(turn) < 0.1
            assert moved <= settings.step_size + 2e-3
            assert step.collided or moved > settings.step_size - 2e-3
        else:
            assert moved == 0
            assert turn == pytest.approx({"left": -15, "right": 15}[step.motion], abs=0.1)
    last = trace.steps[-1]
    assert (last.motion, last.action) == ("stop", 0)
    assert last.metrics["NE"] == pytest.approx(last.distance_to_goal, abs=1e-3)
    assert last.metrics["steps"] == len(trace.steps)
    # Earlier steps have the measures as if the walk had stopped there.
    assert trace.steps[0].metrics["SR"] == 0
    near = [step for step in trace.steps if step.distance_to_goal < 3]
    assert all(step.metrics["SR"] == 1 for step in near)


def test_traces_survive_their_files(expert_trace, tmp_path):
    path = write_trace(expert_trace, tmp_path)
    assert read_traces(path) == [expert_trace]
    steps = list(expert_trace.steps)
    steps[3] = msgspec.structs.replace(steps[3], viewpoint="@1,2")
    write_trace(msgspec.structs.replace(expert_trace, steps=tuple(steps)), tmp_path)
    with pytest.raises(ValueError, match=r"steps\[3\].viewpoint': '@1,2' is not the name of a"):
        read_traces(path)


class Forward:
    """Agent that walks forward without end; counts its starts."""

    starts = 0

    def start(self, observation, info):
        self.starts += 1

    def act(self, observation, info, active):
        return np.full(len(observation["instruction"]), FORWARD)


def test_a_walk_without_a_stop_is_cut_off_and_no_success(make_recorder):
    recorder = make_recorder("walker", size=2, max_episode_steps=5)
    traces = recorder.record(["26000_0", "26000_1", "26000_2"], Forward())
    assert [trace.instr_id for trace in traces] == ["26000_0", "26000_1", "26000_2"]
    for trace in traces:
        assert trace.ending == "cut off"
        assert [step.motion for step in trace.steps] == ["forward"] * 5 + [None]
        assert trace.steps[-1].metrics["SR"] == 0
    assert any(step.collided for step in traces[0].steps)
