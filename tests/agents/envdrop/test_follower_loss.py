import dataclasses

import numpy as np
import pytest
import torch

from clipnav.agents.acting.rollout import ActionSource, Decisions, UniformStream, rollout
from clipnav.agents.envdrop.follower_agent import EpisodeBatch, FollowerAgent
from clipnav.agents.envdrop.learner import FollowerLoss, make_follower
from clipnav.agents.layers.critic import Critic
from clipnav.agents.learning.objectives import actor_critic_loss, imitation_loss
from clipnav.agents.settings import ReinforcementConfig
from clipnav.envs.navigation.device_features import DeviceFeatures


@pytest.fixture
def follower_loss(doors_config, doors_env):
    torch.manual_seed(0)
    rewarded = ReinforcementConfig(weight=0.7)
    config = dataclasses.replace(doors_config, reinforcement=rewarded, max_training_steps=3)
    follower = make_follower(config, doors_env)
    return FollowerLoss(follower, Critic(config.follower.hidden_size, 0.1), config).eval()


def batch(env, seed=0):
    ids = [episode.instr_id for episode in env.episodes[:: len(env.episodes) // env.num_envs]]
    return EpisodeBatch(ids[: env.num_envs], np.random.default_rng(seed))


def test_even_rows_imitate_and_odd_rows_have_reinforcement(follower_loss, doors_env):
    features, episodes = DeviceFeatures(doors_env), batch(doors_env)
    total, figures = follower_loss(doors_env, features, episodes, 0.2)
    wanted = {episode.instr_id: list(episode.path) for episode in doors_env.episodes}
    right = [
        path == wanted[instr_id]
        for path, instr_id in zip(doors_env.paths(), episodes.instr_ids, strict=True)
    ]
    assert all(right[::2])
    assert not all(right[1::2])
    # The imitation loss is that of the even episodes walked by themselves.
    ids = episodes.instr_ids[::2]
    agent = FollowerAgent(
        follower_loss.follower, features, action_source=ActionSource(np.ones(len(ids), bool))
    )
    alone = rollout(doors_env, agent, ids)
    loss = imitation_loss(alone.scores, alone.teacher, len(ids))
    assert figures["imitation"] == pytest.approx(loss.item(), rel=1e-5)
    # The reinforcement loss is that of the odd episodes, and some of these are truncated.
    even = np.arange(doors_env.num_envs) % 2 == 0
    source = ActionSource(even, UniformStream(np.random.default_rng(0), len(even), group=2))
    agent = FollowerAgent(follower_loss.follower, features, action_source=source)
    decisions = rollout(doors_env, agent, episodes.instr_ids, 3, look_ahead=True)
    assert decisions.cut.size
    config = ReinforcementConfig(weight=0.7)
    a2c_loss, a2c_figures = actor_critic_loss(decisions, ~even, follower_loss.critic, config)
    assert {name: figures[name] for name in a2c_figures} == pytest.approx(a2c_figures, rel=1e-4)
    whole = 0.2 * loss.item() + 0.7 * a2c_loss.item()
    assert [total.item(), figures["loss"]] == pytest.approx([whole, whole], rel=1e-4)


class DoubledHidden(Critic):
    """Critic with simple values: twice the hidden state."""

    def forward(self, hidden):
        return 2 * hidden[:, 0]


def test_returns_are_discounted_and_bootstrapped_at_truncation():
    # Episode 0 imitates; 1 takes a step and stops; 2 takes two and is cut off, with 5 to come.
    scores = torch.zeros(5, 2, requires_grad=True)
    hidden = torch.tensor([[9.0], [0.5], [1.0], [1.5], [2.0]], requires_grad=True)
    cut_hidden = torch.tensor([[2.5]])
    decisions = Decisions(
        sizes=[3, 2],
        rows=np.array([0, 1, 2, 1, 2]),
        scores=scores,
        hidden=hidden,
        teacher=torch.zeros(5, dtype=torch.long),
        actions=torch.tensor([0, 1, 1, 0, 1]),
        rewards=np.array([7.0, 1.0, -1.0, 2.0, 1.0]),
        cut=np.array([2]),
        cut_hidden=cut_hidden,
    )
    config = ReinforcementConfig(weight=1.0, discount=0.9, value=0.5, entropy=0.01)
    wanted = np.array([False, True, True])
    loss, figures = actor_critic_loss(decisions, wanted, DoubledHidden(1, 0.0), config)
    returns = np.array([1 + 0.9 * 2, -1 + 0.9 * (1 + 0.9 * 5), 2, 1 + 0.9 * 5])
    ahead = returns - [1, 2, 3, 4]
    # Both actions are as likely as each other.
    policy, entropy = np.log(2) * ahead.sum(), 4 * np.log(2)
    total = policy + 0.5 * (ahead**2).sum() - 0.01 * entropy
    assert loss.item() == pytest.approx(total / 4)
    assert figures["value_error"] == pytest.approx((ahead**2).mean())
    assert figures["entropy"] == pytest.approx(np.log(2))
    assert figures["reward"] == pytest.approx((1 - 1 + 2 + 1) / 2)
    # As in EnvDrop, what the critic learns reaches the decoder: d(0.5 (R - 2 h)^2) / dh.
    loss.backward()
    assert hidden.grad[:, 0].tolist() == pytest.approx([0, *(-2 * ahead / 4)])
    push = ahead / 2 / 4 * np.array([-1, -1, 1, -1])
    assert scores.grad[1:, 1].tolist() == pytest.approx(push)
    assert not scores.grad[0].any()


def test_mixed_feedback_teacher_forces_half_of_the_imitation_rows(doors_config, doors_env):
    torch.manual_seed(0)
    rewarded = ReinforcementConfig(weight=1.0)
    config = dataclasses.replace(doors_config, reinforcement=rewarded, feedback="mixed")
    critic = Critic(config.follower.hidden_size, 0.1)
    follower_loss = FollowerLoss(make_follower(config, doors_env), critic, config).eval()
    episodes = batch(doors_env)
    follower_loss(doors_env, DeviceFeatures(doors_env), episodes, 1.0)
    wanted = {episode.instr_id: list(episode.path) for episode in doors_env.episodes}
    paths = zip(doors_env.paths(), episodes.instr_ids, strict=True)
    right = np.array([path == wanted[instr_id] for path, instr_id in paths])
    assert right[0::4].all()
    assert not right[2::4].all()
    assert not right[1::2].all()
