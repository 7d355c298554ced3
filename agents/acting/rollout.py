"""Rollouts of agents in a vector environment, and what a training records of them.

All episodes of a batch start at the same time. Agents observe and decide for live rows only, so
that nothing is computed for episodes that have ended. `walk` leads an agent to the ends of its
episodes; in training, a `DecisionRecord` chooses its actions, and `rollout` returns the `Decisions`
that a loss needs.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from clipnav.envs.base.infos import check_loaded_for, start_episodes
from clipnav.envs.base.vector_env import Observation
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.errors import UserError

STOP = 0


class Agent(Protocol):
    """Interface of agents in a vector environment.

    Observation and info are those of all rows of the batch. `live` (N,) contains the indices of the
    rows whose episodes have not ended, in increasing order; a row that has ended is not in `live`
    before the next `begin`. The agent keeps its own state between the calls.
    """

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Start new episodes in the rows `live` of the batch."""
        ...

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Return actions (N,) for the rows `live` (N,), in their order; 0 stops."""
        ...


@runtime_checkable
class SegmentAgent(Agent, Protocol):
    """Agent that also walks to its end in segments of several steps each."""

    def segments(self, env: VlnVectorEnv, instr_ids: Sequence[str]) -> Iterable[object]:
        """Walk episodes to their end, a segment at a time, to the trajectories of `walk`."""
        ...


class RolloutResult(NamedTuple):
    """Rewards and end of a batch of walks.

    Attributes:
        rewards: Rewards (N,) of the live rows, for each step.
        cut: (C,) rows that were truncated.
        observation: Last observation of all rows.
    """

    rewards: list[np.ndarray]
    cut: np.ndarray
    observation: Observation


def walk(
    env: VlnVectorEnv, agent: Agent, instr_ids: Sequence[str], max_steps: int | None = None
) -> RolloutResult:
    """Walk episodes to their end.

    `env.trajectories()`, `env.paths()` and `env.metrics()` then describe the walks, in the order of
    `instr_ids`. If these are fewer than `env.num_envs`, ignore the remaining rows, whose agents
    stand at the start of the first episode.

    Args:
        env: Environment without autoreset (`AutoresetMode.DISABLED`).
        agent: Agent that chooses the actions.
        instr_ids: Episodes, at most `env.num_envs`, one for each row of the environment.
        max_steps: Maximum number of actions; that of the environment by default.

    Raises:
        TypeError, UserError: The environment or the number of episodes does not fit, see
            `check_loaded_for` and `start_episodes`.
    """
    check_loaded_for(env, agent)
    observation, info, live = start_episodes(env, instr_ids)
    agent.begin(observation, info, live)
    rewards = []
    stopped = np.zeros(env.num_envs, bool)
    for _ in range(max_steps or env.max_episode_steps):
        actions = np.full(env.num_envs, STOP)
        actions[live] = agent.act(observation, info, live)
        observation, reward, stopped, truncated, info = env.step(actions)
        rewards.append(reward[live])
        live = live[~stopped[live]]
        if truncated[live].any() or not live.size:
            break
    return RolloutResult(rewards, live, observation)


def walk_to_ends(env: VlnVectorEnv, agent: Agent, instr_ids: Sequence[str]) -> None:
    """Walk episodes to their end, in segments if the agent can, for trajectories only."""
    if isinstance(agent, SegmentAgent):
        for _ in agent.segments(env, instr_ids):
            pass
    else:
        walk(env, agent, instr_ids)


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
    """Decisions of an agent in a batch of B episodes: M decisions, ordered by step.

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


class Scored(Protocol):
    """Scores of the actions of N agents."""

    @property
    def hidden(self) -> Tensor:
        """(N, H) input of the critic."""
        ...


class RecordingAgent(Agent, Protocol):
    """Agent that records its decisions."""

    record: DecisionRecord | None

    def decide(self, observation: Observation, live: np.ndarray) -> Scored:
        """Score the actions of the live rows."""
        ...


def rollout(
    env: VlnVectorEnv,
    agent: RecordingAgent,
    instr_ids: Sequence[str],
    max_steps: int | None = None,
    look_ahead: bool = False,
) -> Decisions:
    """Walk a batch of episodes and return the decisions."""
    result = walk(env, agent, instr_ids, max_steps)
    assert agent.record is not None
    return agent.record.decisions(
        result, look_ahead, lambda observation, rows: agent.decide(observation, rows).hidden
    )
