"""What training minimises, from the decisions of a batch of episodes.

Letters in the shape comments: M decisions, B episodes, K candidates, H hidden.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from agents.acting.follower_agent import Decisions
from agents.configs import ReinforcementConfig


class ActorCritic(NamedTuple):
    """Sums over decisions: of policy loss, squared error of the critic and entropy."""

    policy: Tensor
    error: Tensor
    entropy: Tensor


def imitation_loss(scores: Tensor, teacher: Tensor, episodes: int) -> Tensor:
    """Cross-entropy of the teacher's actions, summed over steps, per episode.

    The sum over steps is divided by the number of episodes, not of steps, as in EnvDrop's agent.py.

    Args:
        scores: (M, K) logits.
        teacher: (M,) actions.
        episodes: How many the decisions belong to.
    """
    return functional.cross_entropy(scores, teacher, reduction="sum") / episodes


def agreement(scores: Tensor, teacher: Tensor) -> float:
    """Share of decisions (M, K) in which the best action is the teacher's (M,)."""
    return float((scores.argmax(1) == teacher).double().mean())


def discounted_returns(decisions: Decisions, discount: float, last: np.ndarray) -> np.ndarray:
    """(M,) discounted sum of the rewards from each decision on.

    Args:
        decisions: Of which the rewards count.
        discount: What a reward is worth one step earlier.
        last: (C,) what is still to come for the episodes that were cut off.
    """
    ahead = np.zeros(decisions.rows.max() + 1)
    ahead[decisions.cut] = last
    returns = np.empty(len(decisions.rows))
    end = len(returns)
    for size in reversed(decisions.sizes):
        step = slice(end - size, end)
        rows = decisions.rows[step]
        ahead[rows] = returns[step] = decisions.rewards[step] + discount * ahead[rows]
        end -= size
    return returns


def actor_critic(scores: Tensor, actions: Tensor, values: Tensor, returns: Tensor) -> ActorCritic:
    """Terms of advantage actor-critic, as in EnvDrop's agent.py: no normalised advantages, no GAE.

    Args:
        scores: (M, K) logits, minus infinity where impossible.
        actions: (M,) actions taken.
        values: (M,) what the critic expected.
        returns: (M,) what came.
    """
    logs = torch.log_softmax(scores, 1)  # (M, K)
    taken = logs.gather(1, actions.unsqueeze(1)).squeeze(1)  # (M,)
    # Impossible actions have probability 0 and log minus infinity: their product is 0.
    entropy = -(logs.exp() * logs.masked_fill(logs == -torch.inf, 0.0)).sum(1)  # (M,)
    advantages = (returns - values).detach()
    return ActorCritic(
        policy=-(taken * advantages).sum(),
        error=(returns - values).square().sum(),
        entropy=entropy.sum(),
    )


def reinforcement_loss(terms: ActorCritic, steps: float, config: ReinforcementConfig) -> Tensor:
    """The terms weighted and per live step (EnvDrop's `--normalize total`)."""
    total = terms.policy + config.value * terms.error - config.entropy * terms.entropy
    return total / steps
