from itertools import pairwise

import numpy as np
import pytest

from clipnav.viewer.videos.timeline import VideoWalk, phases, times


@pytest.fixture
def walk(library, traces):
    trace = max(traces[:14], key=lambda one: len(one.steps))
    return VideoWalk(trace, library.graph(trace.scan))


def test_every_step_is_looked_at_and_walked_and_the_end_is_told(walk):
    parts = list(phases([walk]))
    assert [part.step for part in parts if part.kind == "look"] == list(range(walk.last + 1))
    assert [part.step for part in parts if part.kind == "go"] == list(range(walk.last))
    assert parts[-1].kind == "card"
    assert parts[-1].seconds >= 2


def test_the_camera_moves_without_jumps(walk):
    states = [walk.state(*one) for one in times(list(phases([walk])), 25)]
    for before, after in pairwise(states):
        assert abs(after.pose.heading - before.pose.heading) < 0.35
        assert abs(after.pose.pitch - before.pose.pitch) < 0.1
        if after.step == before.step:
            assert 0 <= after.progress - before.progress < 0.15
        else:
            assert after.step == before.step + 1
            assert before.progress > 0.95
            assert after.progress == 0


def test_the_camera_looks_where_the_agent_goes(walk):
    for part in phases([walk]):
        if part.kind == "go":
            way = walk.positions[part.step + 1] - walk.positions[part.step]
            heading = walk.state(part, 0.5).pose.heading
            assert np.sin(heading - np.arctan2(way[0], way[1])) == pytest.approx(0, abs=1e-6)
            assert np.cos(heading - np.arctan2(way[0], way[1])) > 0


def test_who_has_ended_waits_for_the_other(library, traces):
    short = min(traces[:14], key=lambda one: len(one.steps))
    long = next(t for t in traces[14:] if t.scan == short.scan and len(t.steps) > len(short.steps))
    walks = [VideoWalk(trace, library.graph(short.scan)) for trace in (short, long)]
    parts = list(phases(walks))
    late = next(part for part in parts if part.kind == "look" and part.step == walks[1].last)
    first, second = (walk.state(late, 0.9) for walk in walks)
    assert (first.step, first.card) == (walks[0].last, 1.0)
    assert (second.step, second.card) == (walks[1].last, 0.0)
    assert all(walk.state(parts[-1], 0.9).card == 1 for walk in walks)
