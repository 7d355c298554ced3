"""Walks of teachers and policies on graphs."""

import dataclasses

import numpy as np
import pytest

from clipnav.agents.acting.environments import make_env
from clipnav.agents.demonstrations.export import (
    GraphSteps,
    policy_settings,
    policy_walks,
    teacher_walks,
)
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.agents.duet.settings import MapTrainConfig
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.frontier.settings import FrontierTrainConfig
from clipnav.agents.hamt.settings import HistoryTrainConfig
from clipnav.envs.episodes import load_episodes
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.worlds import world_files
from clipnav.training.settings import to_json


@pytest.fixture
def attic(tiny_world):
    files = world_files("matterport", tiny_world)
    episodes = load_episodes("r2r", "train", files)
    return NavWorld.load(["attic"], files.connectivity_dir), episodes


def viewpoints(recorded):
    return [step.viewpoint for step in recorded.steps]


@pytest.mark.parametrize("teacher", ["reference", "shortest"])
def test_the_teacher_walks_its_path_and_stops(attic, teacher):
    world, episodes = attic
    walks = teacher_walks(world, episodes, teacher, GraphSteps(world))
    for recorded, episode in zip(walks, episodes, strict=True):
        if teacher == "reference":
            passed = iter(viewpoints(recorded))
            assert all(viewpoint in passed for viewpoint in episode.path)  # in this order
        assert viewpoints(recorded)[-1] == episode.path[-1]
        assert recorded.success
        assert [step.label for step in recorded.steps] == [step.taken for step in recorded.steps]
        for step, after in zip(recorded.steps, recorded.steps[1:], strict=False):
            assert step.candidates[step.taken - 1].viewpoint == after.viewpoint
        assert recorded.steps[-1].taken == 0


def test_candidates_have_the_geometry_of_the_graph(attic):
    world, episodes = attic
    step = teacher_walks(world, episodes[:1], "reference", GraphSteps(world))[0].steps[0]
    graph = world.graphs["attic"]
    here = graph.positions[graph.index(step.viewpoint)]
    assert {each.viewpoint for each in step.candidates} == set(graph.neighbours(step.viewpoint))
    for each in step.candidates:
        level = np.cos(each.elevation) * np.array([np.sin(each.heading), np.cos(each.heading)])
        offset = each.distance * np.append(level, np.sin(each.elevation))
        there = graph.positions[graph.index(each.viewpoint)]
        np.testing.assert_allclose(here + offset, there, atol=1e-9)


class Wanderer:
    """Policy that takes given actions, then stops; it notes which rows it was asked for."""

    def __init__(self, plans):
        self.plans, self.asked = plans, []

    def begin(self, observation, info, live):
        pass

    def act(self, observation, info, live):
        self.asked.append(live.tolist())
        return np.array([self.plans[row].pop(0) if self.plans[row] else 0 for row in live])


@pytest.fixture
def doors_env_of(doors_config):
    def make(count, **changes):
        return make_env(dataclasses.replace(doors_config, **changes), "train", num_envs=count)

    return make


def test_a_policy_that_stops_too_early_is_led_to_the_goal(doors_env_of):
    env = doors_env_of(2)
    episodes = env.episodes[:2]
    agent = Wanderer([[], [2, 1]])  # row 1 goes to another door and back to the centre, then stops
    steps = GraphSteps(env.nav_world)
    led, wandering = policy_walks(env, agent, episodes, steps)
    assert [step.source for step in led.steps] == ["teacher", "teacher"]
    assert [step.source for step in wandering.steps] == ["policy", "policy", "teacher", "teacher"]
    assert led.success
    assert wandering.success
    for recorded, episode in zip((led, wandering), episodes, strict=True):
        assert viewpoints(recorded)[-1] == episode.path[-1]
        assert recorded.steps[-1].label == recorded.steps[-1].taken == 0
    door = wandering.steps[1]
    assert door.label == 1  # back to the centre
    assert agent.asked == [[0, 1], [1], [1]]


def test_a_policy_that_never_stops_is_truncated(doors_env_of):
    env = doors_env_of(1, max_episode_steps=3)
    agent = Wanderer([[1, 1, 1, 1, 1]])
    (recorded,) = policy_walks(env, agent, env.episodes[:1], GraphSteps(env.nav_world))
    assert len(recorded.steps) == 3
    assert not recorded.stopped
    assert not recorded.success


def test_the_teachers_share_of_the_steps_follows_its_probability_and_the_seed(doors_env_of):
    env = doors_env_of(32)

    def walks(probability, seed):
        agent = Wanderer([[1] * 9 for _ in range(32)])
        steps = GraphSteps(env.nav_world)
        return policy_walks(env, agent, env.episodes[:32], steps, probability, seed)

    def share(recorded):
        sources = [step.source for each in recorded for step in each.steps]
        return sources.count("teacher") / len(sources)

    assert share(walks(1.0, 0)) == 1
    assert share(walks(0.0, 0)) == 0
    assert 0.3 < share(walks(0.5, 0)) < 0.7
    assert walks(0.5, 0) == walks(0.5, 0)
    assert walks(0.5, 0) != walks(0.5, 1)


@pytest.mark.parametrize(
    ("read", "exported"), [(None, None), (None, "hi"), ("en", "en"), ("en", "en-IN")]
)
def test_a_policy_walks_in_languages_that_its_run_reads(tmp_path, read, exported):
    saved = TrainConfig(dataset="rxr", instruction_language=read)
    (tmp_path / "config.json").write_text(to_json(saved))
    config = DemonstrationConfig(policy=tmp_path, dataset="rxr", instruction_language=exported)
    assert policy_settings(config).instruction_language == exported


@pytest.mark.parametrize("exported", [None, "hi", "hi-IN"])
def test_a_policy_that_lacks_a_language_of_the_export_is_refused(tmp_path, exported):
    saved = TrainConfig(dataset="rxr", instruction_language="en")
    (tmp_path / "config.json").write_text(to_json(saved))
    config = DemonstrationConfig(policy=tmp_path, dataset="rxr", instruction_language=exported)
    wanted = exported or "all languages"
    message = f"language en only, but the export has {wanted}; add --instruction-language en"
    with pytest.raises(ValueError, match=message):
        policy_settings(config)


def test_runs_that_do_not_fit_are_refused(small_config, tmp_path):
    def run(config):
        (tmp_path / "config.json").write_text(to_json(config))
        return tmp_path

    policy = run(small_config)
    with pytest.raises(ValueError, match=r"has --world matterport, but the export --world houses"):
        policy_settings(DemonstrationConfig(policy=policy))
    for config in (MapTrainConfig(), FrontierTrainConfig(), HistoryTrainConfig()):
        policy = run(config)
        message = rf"--teacher-probability 0.5: .* is a run of --agent {config.agent}, which"
        with pytest.raises(ValueError, match=message):
            policy_settings(DemonstrationConfig(policy=policy, teacher_probability=0.5))
