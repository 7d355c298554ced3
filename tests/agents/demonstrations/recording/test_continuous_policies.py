"""Walks of trained agents in continuous environments, labelled by the expert."""

import dataclasses

import numpy as np
import pytest
import torch

from clipnav.agents.continuous.settings import ContinuousNetworkConfig, ContinuousTrainConfig
from clipnav.agents.continuous.training import ContinuousLearner
from clipnav.agents.demonstrations.export import check_export, export_demonstrations
from clipnav.agents.demonstrations.formats import streamvln
from clipnav.agents.demonstrations.recording.continuous_walks import (
    check_continuous_policy,
    continuous_policy_walks,
)
from clipnav.agents.demonstrations.recording.records import RecordedStep
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.encoders.clip import ClipEncoder
from clipnav.envs.continuous.environments.making import make_continuous_vector_env
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.settings import LEFT, STOP
from clipnav.training.settings import to_json
from tests.agents.continuous.conftest import CornerEncoder


class Turner:
    """Policy that turns left and then stops."""

    def __init__(self, turns):
        self.turns = turns

    def start(self, observation, info):
        self.left = self.turns

    def act(self, observation, info, active):
        self.left -= 1
        return np.full(len(observation["instruction"]), LEFT if self.left >= 0 else STOP)


def make_step(row, feet, heading, label, taken, source):
    return RecordedStep(tuple(feet.tolist()), heading, label, taken, source)


@pytest.fixture(scope="module")
def env():
    """Environment of two episodes of a built-in house, one for each agent."""
    whole = make_continuous_vector_env(2, "Disabled", None, None, split="val_unseen", observe=())
    split = dataclasses.replace(whole.split, episodes=whole.split.episodes[:2])
    return ContinuousVectorEnv(split, whole.simulator, 2, whole.settings, "Disabled")


def test_a_policy_that_stops_too_early_is_led_to_the_goal(env):
    walks, successes = continuous_policy_walks(env, Turner(3), make_step)
    assert successes == [True, True]
    for steps in walks:
        assert [step.source for step in steps[:4]] == ["policy"] * 3 + ["teacher"]
        assert {step.source for step in steps[3:]} == {"teacher"}
        assert [step.taken for step in steps[:3]] == [LEFT] * 3
        assert all(step.taken == step.label for step in steps[3:])
        assert steps[-1].taken == STOP
        turned = np.rad2deg(steps[1].heading - steps[0].heading + np.pi) % 360 - 180
        assert turned == pytest.approx(-15)


def test_the_teachers_steps_follow_the_seed(env):
    one, _ = continuous_policy_walks(env, Turner(10), make_step, 0.5, 0)
    same, _ = continuous_policy_walks(env, Turner(10), make_step, 0.5, 0)
    other, _ = continuous_policy_walks(env, Turner(10), make_step, 0.5, 1)
    assert one == same
    assert one != other
    assert {step.source for step in one[0][:10]} == {"teacher", "policy"}


@pytest.fixture(scope="module", autouse=True)
def small_encoder():
    """Let agents read a corner of each picture instead of CLIP's features."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ClipEncoder, "load", lambda *_, **__: CornerEncoder())
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory, small_encoder):
    """Run of an untrained agent in the built-in houses."""
    folder = tmp_path_factory.mktemp("continuous") / "run"
    folder.mkdir()
    network = ContinuousNetworkConfig(
        word_size=4, text_size=6, rgb_size=5, depth_size=4, state_size=8
    )
    config = ContinuousTrainConfig(
        evaluation_splits=("val_seen",), depth_pixels=16, network=network
    )
    torch.manual_seed(0)  # with other weights, the agent may stop at once
    learner = ContinuousLearner(config)
    (folder / "config.json").write_text(to_json(config))
    learner.start(folder)
    learner.save_model(folder, 0)
    return folder


@pytest.mark.long
def test_a_run_is_exported_with_the_experts_labels(run, tmp_path):
    config = DemonstrationConfig(
        tmp_path / "export",
        format="streamvln",
        split="val_unseen",
        episodes=2,
        seed=35,  # both in house_26, where the other walks of this file are
        policy=run,  # it never stops, but the expert does
        teacher_probability=0.8,
        max_episode_steps=300,
        prompt=PromptConfig(image_size=16),
    )
    counts = export_demonstrations(config)["counts"]
    assert counts["episodes"] == 2
    assert counts["steps_by_source"]["policy"] > 0
    check_export(config.output)
    records = streamvln.read(config.output)
    assert len(records) == 2
    for record in records:
        taken = streamvln.next_actions(record)
        differing = [own for own, best in zip(taken, record.labels, strict=True) if own != best]
        assert len(differing) <= record.sources.count("policy")


@pytest.mark.parametrize("name", ["streamvln", "lerobot"])
def test_an_export_without_a_stop_is_refused(run, tmp_path, name):
    config = DemonstrationConfig(
        tmp_path / "export",
        format=name,
        environment="continuous",
        split="val_unseen",
        episodes=1,
        seed=35,
        policy=run,
        max_episode_steps=2,
        prompt=PromptConfig(image_size=16),
    )
    with pytest.raises(ValueError, match=r"none of the walks reaches a stop.*--max-episode-steps"):
        export_demonstrations(config)
    assert not config.output.exists()


def test_runs_that_do_not_fit_are_refused(run, tmp_path):
    config = DemonstrationConfig(tmp_path, format="streamvln", policy=run)
    with pytest.raises(ValueError, match="its turns have 30 degrees, but those of"):
        check_continuous_policy(config, 30.0)
    with pytest.raises(ValueError, match="require runs and exports of one dataset"):
        check_continuous_policy(dataclasses.replace(config, dataset="rxr"), 15.0)
    with pytest.raises(FileNotFoundError, match=r"config\.json"):
        check_continuous_policy(dataclasses.replace(config, policy=tmp_path), 15.0)
