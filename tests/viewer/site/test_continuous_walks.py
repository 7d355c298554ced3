"""Continuous walks by hand: actions, resumption, and taking over from an agent."""

import pytest

from clipnav.envs.worlds import world_files
from clipnav.viewer.site.continuous_walks import ContinuousDriver
from clipnav.viewer.site.library import Library
from clipnav.viewer.site.manual_walks import CONTINUOUS_AGENT, ManualWalks
from clipnav.viewer.trace import read_traces

KEY = "val_unseen/26000_0"


@pytest.fixture
def library(continuous_library):
    return continuous_library


@pytest.fixture
def make_walks(library, make_recorder, tmp_path):
    def make():
        driver = ContinuousDriver(make_recorder(CONTINUOUS_AGENT, max_episode_steps=10_000))
        return ManualWalks(library, tmp_path, driver.begin)

    return make


def motions(progress):
    return [step.motion for step in progress.trace.steps]


def test_actions_are_carried_out_and_saved(make_walks, expert_trace, tmp_path):
    walks = make_walks()
    assert motions(walks.start(KEY)) == [None]
    walks.act(KEY, 2, 0)
    progress = walks.act(KEY, 3, 1)
    assert motions(progress) == ["left", "right", None]
    again = walks.act(KEY, 3, 1)  # a repeated request changes nothing
    assert again.trace == progress.trace
    first = progress.trace.steps[-1]
    assert first.viewpoint == expert_trace.steps[0].viewpoint
    assert first.heading == expert_trace.steps[0].heading
    # Another process resumes the walk at the same pose.
    resumed = make_walks()
    assert resumed.unfinished() == {KEY}
    assert resumed.start(KEY).trace == progress.trace
    final = resumed.act(KEY, 0, 2)
    assert final.trace.ending == "stopped"
    assert final.file == tmp_path / "you,-continuous" / "houses" / "r2r" / "26000_0.json"
    assert read_traces(final.file) == [final.trace]
    with pytest.raises(ValueError, match="this walk is over"):
        resumed.act(KEY, 1, 2)


def test_a_user_takes_over_from_the_expert(make_walks, expert_trace):
    progress = make_walks().start(KEY, "expert", 12)
    for own, expert in zip(progress.trace.steps[:12], expert_trace.steps, strict=False):
        assert (own.viewpoint, own.motion) == (expert.viewpoint, expert.motion)
    here, there = progress.trace.steps[12], expert_trace.steps[12]
    assert (here.viewpoint, here.heading, here.motion) == (there.viewpoint, there.heading, None)


def test_nobody_takes_over_from_a_walk_of_another_kind(make_walks, library, expert_trace, tmp_path):
    graph = ManualWalks(library, tmp_path)
    graph.start(KEY)
    graph.act(KEY, 1, 0)
    graph.act(KEY, 0, 1)
    for walks, agent in ((graph, "expert"), (make_walks(), "you")):
        with pytest.raises(ValueError, match=f"cannot follow '{agent}' to step 1: its actions"):
            walks.start(KEY, agent, 1)


def test_walks_of_two_episodes_do_not_disturb_each_other(make_walks, library, make_recorder):
    library.add(make_recorder("expert").record(["26000_1"]))
    walks, other = make_walks(), "val_unseen/26000_1"
    for key in (KEY, other):
        walks.start(key)
    for step in range(3):
        walks.act(KEY, 1, step)
        walks.act(other, 2, step)
    assert motions(walks.start(KEY)) == ["forward"] * 3 + [None]
    assert motions(walks.start(other)) == ["left"] * 3 + [None]
    alone = make_walks().start(KEY)
    assert alone.trace == walks.start(KEY).trace


def test_walks_on_the_graph_are_of_another_agent(make_walks, library, tmp_path):
    """Both have the same episodes and can be in one folder of traces."""
    for walks in (make_walks(), ManualWalks(library, tmp_path)):
        walks.start(KEY)
        walks.act(KEY, 0, 0)
    traces = read_traces(tmp_path)
    assert {trace.agent: trace.is_continuous for trace in traces} == {
        "you": False,
        "you, continuous": True,
    }
    shown = Library(world_files("houses"), "r2r")
    shown.add(traces)
    assert shown.agents == ["you", "you, continuous"]
    assert set(shown.walks(KEY)) == {"you", "you, continuous"}
