"""What training minimises."""

import torch
from torch import Tensor
from torch.nn import functional

from agents.rollout import Decisions


def imitation_loss(decisions: Decisions) -> Tensor:
    """Cross-entropy of the teacher's actions, summed over steps, per episode.

    The sum over steps is divided by the number of episodes, not of steps, as in EnvDrop's agent.py.

    Args:
        decisions: Scores and teacher actions of a batch; at least one step.

    Returns:
        A scalar.
    """
    width = max(scores.shape[1] for scores in decisions.scores)
    padded = [
        functional.pad(scores, (0, width - scores.shape[1]), value=-torch.inf)
        for scores in decisions.scores
    ]
    scores, teacher = torch.cat(padded), torch.cat(decisions.teacher)
    return functional.cross_entropy(scores, teacher, reduction="sum") / decisions.episodes


def agreement(decisions: Decisions) -> float:
    """Share of decisions in which the follower's best action is the teacher's."""
    hits = sum(
        int((scores.argmax(1) == teacher).sum())
        for scores, teacher in zip(decisions.scores, decisions.teacher, strict=True)
    )
    return hits / sum(len(teacher) for teacher in decisions.teacher)
