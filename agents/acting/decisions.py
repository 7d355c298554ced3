"""Decisions of an agent in training: who chooses the actions, and what a loss needs of them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clipnav.agents.acting.rollout import Observation, RolloutResult
from clipnav.storage.errors import UserError


class UniformStream:
    """Uniform random numbers for sampled actions: one per row and step of the whole batch.

    The numbers of a row depend neither on which rows are live nor, if all ranks have equally many
    rows, on how many ranks share the batch. No number is used on two ranks, whatever rows they
    have.
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
    draws: UniformStream | None = None
    sampled_steps: float = 0.0

    def __post_init__(self) -> None:
        if self.draws is None and (self.sampled_steps or not self.teacher_forced.all()):
            raise UserError("sampled actions require draws")


class Decisions(NamedTuple):
    """Decisions of a follower in a batch of B episodes: M decisions, ordered by step.

    Attributes:
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


class DecisionRecord:
    """Chooses the actions of a walk in training, and records the decisions."""

    def __init__(self, source: ActionSource) -> None:
        self._source = source
        # A list item per step.
        self._rows: list[np.ndarray] = []
        self._scores: list[Tensor] = []
        self._hidden: list[Tensor] = []
        self._teacher: list[np.ndarray] = []
        self._actions: list[np.ndarray] = []
        self._contrast: list[Tensor] = []

    def choose(
        self,
        live: np.ndarray,
        scores: Tensor,
        hidden: Tensor,
        teacher: np.ndarray,
        contrast: Tensor | None = None,
    ) -> np.ndarray:
        """Choose the actions (N,) of a step.

        Args:
            live: (N,) rows of the batch.
            scores: (N, K) logits.
            hidden: (N, H) input of the critic.
            teacher: (N,) actions of the teacher.
            contrast: (2, N, H) part of `Decisions.contrast`; None without.
        """
        source, actions = self._source, teacher
        if source.draws is not None:
            sampled = sample_logits(scores, source.draws.next(live))
            teacher_forced = source.teacher_forced[live]
            if source.sampled_steps:
                teacher_forced = teacher_forced & (source.draws.next(live) >= source.sampled_steps)
            actions = np.where(teacher_forced, teacher, sampled)
        self._rows.append(live)
        self._scores.append(scores)
        self._hidden.append(hidden)
        self._teacher.append(teacher)
        self._actions.append(actions)
        if contrast is not None:
            self._contrast.append(contrast)
        return actions

    def decisions(
        self,
        result: RolloutResult,
        look_ahead: bool,
        next_hidden: Callable[[Observation, np.ndarray], Tensor],
    ) -> Decisions:
        """Return the decisions of a walk with their rewards.

        Args:
            next_hidden: Returns the input (C, H) of the critic for rows (C,) of an observation.
        """
        cut = result.cut if look_ahead else result.cut[:0]
        width = max(scores.shape[1] for scores in self._scores)
        padded = [
            functional.pad(scores, (0, width - scores.shape[1]), value=-torch.inf)
            for scores in self._scores
        ]
        hidden = torch.cat(self._hidden)
        device, cut_hidden = hidden.device, hidden[:0].float()
        if cut.size:
            with torch.no_grad():
                cut_hidden = next_hidden(result.observation, cut)
        return Decisions(
            sizes=[len(rows) for rows in self._rows],
            rows=np.concatenate(self._rows),
            scores=torch.cat(padded),
            hidden=hidden,
            teacher=torch.from_numpy(np.concatenate(self._teacher)).to(device),
            actions=torch.from_numpy(np.concatenate(self._actions)).to(device),
            rewards=np.concatenate(result.rewards),
            cut=cut,
            cut_hidden=cut_hidden.detach(),
            contrast=torch.cat(self._contrast, 1) if self._contrast else None,
        )


def sample_logits(logits: Tensor, draws: np.ndarray) -> np.ndarray:
    """Sample a column for each row of logits (N, K), given random numbers (N,); see `sample`."""
    return sample(torch.softmax(logits.detach(), 1).cpu().numpy(), draws)


def sample(probabilities: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Sample a column for each row of (N, K) probabilities; never one with probability 0.

    Args:
        probabilities: (N, K); rows need not add up to 1.
        draws: (N,) uniform random numbers in [0, 1).
    """
    cumulative = probabilities.astype(np.float64).cumsum(1)
    return (cumulative > (draws * cumulative[:, -1])[:, None]).argmax(1)
