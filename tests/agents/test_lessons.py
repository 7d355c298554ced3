import dataclasses

import numpy as np
import pytest
import torch

from agents.configs import ReinforcementConfig
from agents.envdrop.critic import Critic
from agents.environments import make_env, make_follower
from agents.follower_agent import FollowerAgent, Way, rollout
from agents.lessons import Batch, Lesson, led_rows
from agents.objectives import imitation_loss
from envs.device_features import DeviceFeatures


@pytest.fixture
def lesson(doors_config, doors_env):
    torch.manual_seed(0)
    config = dataclasses.replace(doors_config, reinforcement=ReinforcementConfig(weight=1.0))
    follower = make_follower(config, doors_env)
    return Lesson(follower, Critic(config.follower.hidden_size, 0.1), config).eval()


def batch(env, seed=0):
    ids = [episode.instr_id for episode in env.episodes[:: len(env.episodes) // env.num_envs]]
    return Batch(ids[: env.num_envs], np.random.default_rng(seed))


def test_even_rows_imitate_and_odd_rows_are_rewarded(lesson, doors_env):
    features, episodes = DeviceFeatures(doors_env), batch(doors_env)
    _, figures = lesson(doors_env, features, episodes, 0.2)
    wanted = {episode.instr_id: list(episode.path) for episode in doors_env.episodes}
    right = [
        path == wanted[instr_id]
        for path, instr_id in zip(doors_env.paths(), episodes.instr_ids, strict=True)
    ]
    assert all(right[::2])
    assert not all(right[1::2])
    # The imitation loss is that of the even episodes walking by themselves.
    ids = episodes.instr_ids[::2]
    agent = FollowerAgent(lesson.follower, features, way=Way(np.ones(len(ids), bool)))
    alone = rollout(doors_env, agent, ids)
    loss = imitation_loss(alone.scores, alone.teacher, len(ids))
    assert figures["imitation"] == pytest.approx(loss.item(), rel=1e-5)
    total = 0.2 * figures["imitation"] + figures["reinforcement"]
    assert figures["loss"] == pytest.approx(total, rel=1e-5)


def test_gradient_reaches_follower_and_critic(lesson, doors_env):
    loss, _ = lesson.train()(doors_env, DeviceFeatures(doors_env), batch(doors_env), 0.2)
    loss.backward()
    for name, parameter in lesson.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name


def test_who_leads_in_imitation():
    numbers = np.array([0, 0, 1, 1, 2, 2])
    assert led_rows("teacher", numbers).all()
    assert not led_rows("sample", numbers).any()
    assert led_rows("mixed", numbers).tolist() == [True, True, False, False, True, True]


def test_steps_of_its_own_lead_a_follower_from_the_teachers_way(doors_config, doors_env):
    torch.manual_seed(0)
    config = dataclasses.replace(doors_config, sampled_steps=0.5)
    lesson = Lesson(make_follower(config, doors_env), None, config).eval()
    features, walks = DeviceFeatures(doors_env), []
    for seed in (0, 0, 1):
        lesson(doors_env, features, batch(doors_env, seed), 1.0)
        walks.append(doors_env.paths())
    assert walks[0] == walks[1] != walks[2]
    with pytest.raises(ValueError, match=r"--sampled-steps 1\.5"):
        dataclasses.replace(doors_config, sampled_steps=1.5)


def test_without_a_critic_every_row_imitates(doors_config):
    env = make_env(doors_config, "train", num_envs=6)
    lesson = Lesson(make_follower(doors_config, env), None, doors_config).eval()
    _, figures = lesson(env, DeviceFeatures(env), batch(env), 1.0)
    assert figures.keys() == {"loss", "imitation", "agreement"}
