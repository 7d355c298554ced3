"""Losses of imitation and of advantage actor-critic (A2C), from the decisions of a batch.

Letters in shapes: M decisions, B episodes, K candidates, H hidden width.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clipnav.agents.acting.rollout import Decisions
from clipnav.agents.layers.critic import Critic
from clipnav.agents.settings import ReinforcementConfig
from clipnav.training import distributed


class ActorCriticTerms(NamedTuple):
    """Terms of A2C, each summed over decisions."""

    policy: Tensor
    error: Tensor
    entropy: Tensor


def imitation_loss(scores: Tensor, teacher: Tensor, episodes: int) -> Tensor:
    """Return the cross-entropy of the teacher's actions, summed over steps, per episode.

    The sum is divided by the number of episodes, not of steps, as in EnvDrop's agent.py.

    Args:
        scores: (M, K) logits.
        teacher: (M,) actions of the teacher.
    """
    return functional.cross_entropy(scores, teacher, reduction="sum") / episodes


def contrastive_loss(decisions: Decisions, episodes: np.ndarray, temperature: float) -> Tensor:
    """Return CLEAR's contrastive loss of imitation, summed over steps, per episode.

    At each step, what the follower attends to in an instruction is contrasted with what it attends
    to in another instruction of the same path (NT-Xent over the live episodes of imitation).

    Args:
        episodes: (B,) bool, true for the episodes of imitation.
    """
    from clipnav.agents.clear.losses import nt_xent

    assert decisions.contrast is not None
    total = decisions.contrast.new_zeros((), dtype=torch.float32)
    for rows, step in zip(
        np.split(decisions.rows, np.cumsum(decisions.sizes)[:-1]),
        decisions.contrast.split(decisions.sizes, 1),
        strict=True,
    ):
        chosen = torch.from_numpy(np.flatnonzero(episodes[rows])).to(step.device)
        if len(chosen) > 1:  # a single pair has no negatives
            own, partner = step[:, chosen]
            total = total + nt_xent(own, partner, temperature)
    return total / int(episodes.sum())


def agreement(scores: Tensor, teacher: Tensor) -> float:
    """Return the share of decisions (M, K) whose best action is the teacher's (M,)."""
    return float((scores.argmax(1) == teacher).double().mean())


def discounted_returns(decisions: Decisions, discount: float, last: np.ndarray) -> np.ndarray:
    """Return the discounted return (M,) of each decision.

    Args:
        last: (C,) estimated return after the last step of each truncated episode.
    """
    following = np.zeros(decisions.rows.max() + 1)
    following[decisions.cut] = last
    returns = np.empty(len(decisions.rows))
    end = len(returns)
    for size in reversed(decisions.sizes):
        step = slice(end - size, end)
        rows = decisions.rows[step]
        following[rows] = returns[step] = decisions.rewards[step] + discount * following[rows]
        end -= size
    return returns


def actor_critic_terms(
    scores: Tensor, actions: Tensor, values: Tensor, returns: Tensor
) -> ActorCriticTerms:
    """Return the terms of A2C as in EnvDrop's agent.py: no normalised advantages, no GAE.

    Args:
        scores: (M, K) logits, minus infinity for impossible actions.
        actions: (M,) actions taken.
        values: (M,) values of the critic.
        returns: (M,) discounted returns.
    """
    log_probs = torch.log_softmax(scores, 1)  # (M, K)
    taken = log_probs.gather(1, actions.unsqueeze(1)).squeeze(1)  # (M,)
    # Impossible actions have probability 0 and log-probability minus infinity; they count 0.
    finite = log_probs.masked_fill(log_probs == -torch.inf, 0.0)
    entropy = -(log_probs.exp() * finite).sum(1)  # (M,)
    advantages = (returns - values).detach()
    return ActorCriticTerms(
        policy=-(taken * advantages).sum(),
        error=(returns - values).square().sum(),
        entropy=entropy.sum(),
    )


def reinforcement_loss(
    terms: ActorCriticTerms, steps: float, config: ReinforcementConfig
) -> Tensor:
    """Return the weighted sum of the terms, per live step (EnvDrop's `--normalize total`)."""
    total = terms.policy + config.value * terms.error - config.entropy * terms.entropy
    return total / steps


def actor_critic_loss(
    decisions: Decisions, episodes: np.ndarray, critic: Critic, config: ReinforcementConfig
) -> tuple[Tensor, dict[str, float]]:
    """Return the A2C loss of some episodes of a batch, and the figures to log.

    The loss is per live step of all ranks, times the number of ranks, because their gradients are
    averaged.

    Args:
        episodes: (B,) bool, true for the episodes of reinforcement.
    """
    device = decisions.scores.device
    with torch.no_grad():
        last = critic(decisions.cut_hidden).double().cpu().numpy()
    returns = discounted_returns(decisions, config.discount, last)
    chosen = np.flatnonzero(episodes[decisions.rows])
    index = torch.from_numpy(chosen).to(device)
    terms = actor_critic_terms(
        decisions.scores[index],
        decisions.actions[index],
        critic(decisions.hidden[index]),
        torch.from_numpy(returns[chosen]).float().to(device),
    )
    steps = distributed.mean_over_ranks(len(chosen), device)
    loss = reinforcement_loss(terms, steps, config)
    return loss, {
        "reinforcement": loss.item(),
        "value_error": terms.error.item() / len(chosen),
        "entropy": terms.entropy.item() / len(chosen),
        "reward": float(decisions.rewards[chosen].sum() / episodes.sum()),
    }


class SampledChoices(NamedTuple):
    """Sampled decisions of R episodes, each with the walk to the chosen node.

    Attributes:
        rows: (R,) episodes.
        scores: (R, N) logits, minus infinity for what cannot be chosen.
        hidden: (R, H) input of the critic.
        chosen: (R,) choices.
        done: (R,) bool, whether the choice was carried out.
        rewards: (R,) sums of the rewards on the way, stop included.
    """

    rows: np.ndarray
    scores: Tensor
    hidden: Tensor
    chosen: np.ndarray
    done: np.ndarray
    rewards: np.ndarray


def walk_loss(
    walk: Sequence[SampledChoices], critic: Critic, config: ReinforcementConfig
) -> tuple[Tensor, dict[str, float]]:
    """Return the A2C loss of a batch of walks, and the figures to log.

    A decision may be several hops away; its reward is the sum of theirs. Decisions that were not
    carried out count for the critic only, and an episode that a limit has ended earns nothing more.
    The loss is per decision of all ranks, times the number of ranks, because their gradients are
    averaged.
    """
    width = max(choices.scores.shape[1] for choices in walk)
    scores = torch.cat(
        [functional.pad(c.scores, (0, width - c.scores.shape[1]), value=-torch.inf) for c in walk]
    )
    device = scores.device
    hidden = torch.cat([choices.hidden for choices in walk]).float()
    rows = np.concatenate([choices.rows for choices in walk])
    actions = torch.from_numpy(np.concatenate([choices.chosen for choices in walk])).to(device)
    decisions = Decisions(
        sizes=[len(choices.rows) for choices in walk],
        rows=rows,
        scores=scores.float(),
        hidden=hidden,
        teacher=actions,
        actions=actions,
        rewards=np.concatenate([choices.rewards for choices in walk]),
        cut=np.zeros(0, np.int64),
        cut_hidden=hidden[:0],
    )
    returns = discounted_returns(decisions, config.discount, np.zeros(0))
    target = torch.from_numpy(returns).float().to(device)
    values = critic(hidden)
    done = torch.from_numpy(np.concatenate([choices.done for choices in walk])).to(device)
    terms = actor_critic_terms(decisions.scores[done], actions[done], values[done], target[done])
    error = (target - values).square().sum()
    terms = terms._replace(error=error)
    steps = distributed.mean_over_ranks(len(rows), device)
    loss = reinforcement_loss(terms, steps, config)
    return loss, {
        "reinforcement": loss.item(),
        "value_error": error.item() / len(rows),
        "entropy": terms.entropy.item() / len(rows),
        "reward": float(decisions.rewards.sum() / (rows.max() + 1)),
    }
