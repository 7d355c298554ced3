"""Decisions of a follower in training: who chooses the actions, and what a loss needs of them."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from torch import Tensor


class Draws:
    """Uniform random numbers for sampled actions: one per row and step of the whole batch.

    The numbers of a row depend neither on which rows are live nor on how many ranks share the
    batch.

    Args:
        rng: Random generator.
        rows: Rows of this rank.
        rank: Rank of this process.
        world_size: Number of ranks; groups of rows are dealt out to them in turn.
        group: Rows in a group.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        rows: int,
        rank: int = 0,
        world_size: int = 1,
        group: int = 1,
    ) -> None:
        self._rng = rng
        self._shape = rows // group, world_size, group
        self._rank = rank

    def next(self, live: np.ndarray) -> np.ndarray:
        """Return numbers (N,) in [0, 1) for the rows `live` in one step."""
        return self._rng.random(self._shape)[:, self._rank].ravel()[live]


@dataclass(frozen=True)
class ActionSource:
    """Source of the actions in training.

    Attributes:
        teacher_forced: (B,) bool, true for rows with teacher forcing; other rows sample actions.
        draws: Random numbers for sampled actions; not needed if the teacher chooses all actions.
        sampled_steps: Probability of a sampled action at a step of a teacher-forced row.
    """

    teacher_forced: np.ndarray
    draws: Draws | None = None
    sampled_steps: float = 0.0

    def __post_init__(self) -> None:
        if self.draws is None and (self.sampled_steps or not self.teacher_forced.all()):
            raise ValueError("sampled actions require draws")


class Decisions(NamedTuple):
    """Decisions of a follower in a batch of B episodes: M decisions, ordered by step.

    Attributes:
        sizes: Number of decisions of each step.
        rows: (M,) episode of each decision.
        scores: (M, K) logits.
        hidden: (M, H) input of the critic.
        teacher: (M,) actions of the teacher.
        actions: (M,) actions taken.
        rewards: (M,) rewards of the actions.
        cut: (C,) truncated episodes.
        cut_hidden: (C, H) input of the critic one step after the truncation.
        contrast: (2, M, H) attended words of the instructions and of their partners; None without
            partners.
    """

    sizes: list[int]
    rows: np.ndarray
    scores: Tensor
    hidden: Tensor
    teacher: Tensor
    actions: Tensor
    rewards: np.ndarray
    cut: np.ndarray
    cut_hidden: Tensor
    contrast: Tensor | None = None


def sample(probabilities: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Sample a column for each row of (N, K) probabilities; never one with probability 0.

    Args:
        probabilities: (N, K); rows need not add up to 1.
        draws: (N,) uniform random numbers in [0, 1).
    """
    cumulative = probabilities.astype(np.float64).cumsum(1)
    return (cumulative > (draws * cumulative[:, -1])[:, None]).argmax(1)
