import numpy as np
import pytest
import torch

from clipnav.agents.acting.rollout import Decisions
from clipnav.agents.learning.objectives import (
    actor_critic_terms,
    agreement,
    discounted_returns,
    imitation_loss,
    reinforcement_loss,
)
from clipnav.agents.settings import ReinforcementConfig

SCORES = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, -torch.inf], [0.5, 0.5, -torch.inf]])


def decisions(sizes, rows, rewards, cut=()):
    return Decisions(
        sizes=sizes,
        rows=np.array(rows),
        scores=torch.zeros(len(rows), 2),
        hidden=torch.zeros(len(rows), 2),
        teacher=torch.zeros(len(rows), dtype=torch.long),
        actions=torch.zeros(len(rows), dtype=torch.long),
        rewards=np.array(rewards, float),
        cut=np.array(cut, int),
        cut_hidden=torch.zeros(len(cut), 2),
    )


def test_imitation_loss_is_the_sum_over_steps_per_episode():
    teacher = torch.tensor([2, 0, 1])
    logs = SCORES.log_softmax(1)
    expected = -(logs[0, 2] + logs[1, 0] + logs[2, 1]) / 2
    torch.testing.assert_close(imitation_loss(SCORES, teacher, episodes=2), expected)
    # Two of three decisions are the teacher's: of equal scores the first, 0, counts as the choice.
    assert agreement(SCORES, teacher) == pytest.approx(2 / 3)


def test_returns_of_episodes_that_end_at_different_steps():
    # Episode 0: +1, -2 (stops); 1: +2 at once; 2: -1, +1, +1, then cut off with 5 still to come.
    walked = decisions([3, 2, 1], [0, 1, 2, 0, 2, 2], [1.0, 2.0, -1.0, -2.0, 1.0, 1.0], cut=[2])
    returns = discounted_returns(walked, 0.9, np.array([5.0]))
    last = 1 + 0.9 * 5
    middle = 1 + 0.9 * last
    assert returns == pytest.approx([1 - 1.8, 2.0, -1 + 0.9 * middle, -2.0, middle, last])


def test_actor_critic_terms_in_closed_form():
    scores = torch.tensor([[0.0, np.log(3.0)], [0.0, -torch.inf]])
    values = torch.tensor([0.5, 1.0])
    terms = actor_critic_terms(scores, torch.tensor([1, 0]), values, torch.tensor([2.0, 0.0]))
    # Advantages 1.5 and -1; probabilities 3/4 and 1.
    assert terms.policy.item() == pytest.approx(-1.5 * np.log(0.75))
    assert terms.error.item() == pytest.approx(1.5**2 + 1.0)
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert terms.entropy.item() == pytest.approx(entropy, abs=1e-6)
    loss = reinforcement_loss(terms, 2, ReinforcementConfig())
    expected = (-1.5 * np.log(0.75) + 0.5 * 3.25 - 0.01 * entropy) / 2
    assert loss.item() == pytest.approx(expected)


def test_gradients_push_actions_by_their_advantage_and_values_to_returns():
    scores = torch.tensor([[0.0, 0.0, -torch.inf]], requires_grad=True)
    values = torch.tensor([1.0], requires_grad=True)
    terms = actor_critic_terms(scores, torch.tensor([1]), values, torch.tensor([3.0]))
    config = ReinforcementConfig(weight=1.0, entropy=0.0)
    reinforcement_loss(terms, 1, config).backward()
    # d(-advantage * log p)/d score = -advantage * (1 - p) for the action taken.
    assert scores.grad[0].tolist() == pytest.approx([1.0, -1.0, 0.0])
    # The advantage is no way for the policy's loss to reach the critic.
    assert values.grad.item() == pytest.approx(0.5 * 2 * (1.0 - 3.0))


def test_entropy_has_a_gradient_where_actions_are_impossible():
    scores = torch.tensor([[0.0, 1.0, -torch.inf]], requires_grad=True)
    zero = torch.zeros(1)
    actor_critic_terms(scores, torch.tensor([1]), zero, zero).entropy.backward()
    assert torch.isfinite(scores.grad).all()
    assert scores.grad[0, 2] == 0
    assert scores.grad[0, 0] > 0, "the less likely action gains"
