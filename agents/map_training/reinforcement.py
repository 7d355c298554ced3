"""Advantage actor-critic (A2C) on the decisions of a map agent."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from agents.acting.decisions import Decisions
from agents.envdrop.critic import Critic
from agents.learning.objectives import (
    actor_critic_terms,
    discounted_returns,
    reinforcement_loss,
)
from agents.map_transformer.agent import MapWalk
from agents.maps.experts import STOP_TOKEN
from agents.settings import ReinforcementConfig
from training import distributed


def walk_loss(
    walk: MapWalk, critic: Critic, config: ReinforcementConfig
) -> tuple[Tensor, dict[str, float]]:
    """Return the A2C loss of a batch of walks, and the figures to log.

    A decision may be several hops away; its reward is the sum of theirs. The last decision of an
    episode that reached its limit was not carried out, so it counts for the critic only. The loss
    is per decision of all ranks, times the number of ranks, because their gradients are averaged.

    Args:
        walk: Walks with sampled decisions.
        critic: Critic of the encoded [stop] tokens.
        config: Discount factor and weights.
    """
    width = max(decision.scores.decision.shape[1] for decision in walk.decisions)
    scores = [
        functional.pad(d.scores.decision, (0, width - d.scores.decision.shape[1]), value=-torch.inf)
        for d in walk.decisions
    ]
    device = scores[0].device
    chosen = np.concatenate([decision.chosen for decision in walk.decisions])
    ends = np.concatenate([decision.ends for decision in walk.decisions])
    hidden = torch.cat([decision.scores.hidden for decision in walk.decisions]).float()
    rows = np.concatenate([decision.rows for decision in walk.decisions])
    actions = torch.from_numpy(chosen).to(device)
    decisions = Decisions(
        sizes=[len(decision.rows) for decision in walk.decisions],
        rows=rows,
        scores=torch.cat(scores).float(),
        hidden=hidden,
        teacher=actions,
        actions=actions,
        rewards=np.concatenate(walk.rewards),
        cut=np.zeros(0, np.int64),
        cut_hidden=hidden[:0],
    )
    returns = discounted_returns(decisions, config.discount, np.zeros(0))
    target = torch.from_numpy(returns).float().to(device)
    values = critic(hidden)
    done = torch.from_numpy(~ends | (chosen == STOP_TOKEN)).to(device)
    terms = actor_critic_terms(decisions.scores[done], actions[done], values[done], target[done])
    error = (target - values).square().sum()
    terms = terms._replace(error=error)
    steps = distributed.total(len(rows), device) / distributed.world_size()
    loss = reinforcement_loss(terms, steps, config)
    return loss, {
        "reinforcement": loss.item(),
        "value_error": error.item() / len(rows),
        "entropy": terms.entropy.item() / len(rows),
        "reward": float(decisions.rewards.sum() / (rows.max() + 1)),
    }
