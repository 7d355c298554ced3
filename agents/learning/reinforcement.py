"""Advantage actor-critic (A2C) on the decisions of agents that choose nodes of their map."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clipnav.agents.acting.decisions import Decisions
from clipnav.agents.layers.critic import Critic
from clipnav.agents.learning.objectives import (
    actor_critic_terms,
    discounted_returns,
    reinforcement_loss,
)
from clipnav.agents.settings import ReinforcementConfig
from clipnav.training import distributed


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
