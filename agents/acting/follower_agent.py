"""The follower as an agent: it walks greedily, or as training wants it, keeping its decisions."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from agents.acting.rollout import STOP, Observation, Walked, walk
from agents.acting.visits import with_visits
from agents.envdrop.critic import Critic
from agents.envdrop.encoders import PAD, Context, State
from agents.envdrop.follower import Decision, Follower
from agents.envdrop.visual import View, VisualNoise
from envs.navigation.device_features import DeviceFeatures
from envs.navigation.vector_env import VlnVectorEnv


class Draws:
    """Uniform numbers by which actions are sampled: one per row and step of the whole batch.

    A row's numbers depend neither on which rows are still under way nor on how a batch is shared
    between processes.

    Args:
        rng: Source.
        rows: Rows of this process.
        rank: Number of this process.
        processes: How many share the batch; they get groups of its rows in turn.
        group: Rows of a group.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        rows: int,
        rank: int = 0,
        processes: int = 1,
        group: int = 1,
    ) -> None:
        self._rng = rng
        self._shape = rows // group, processes, group
        self._rank = rank

    def next(self, live: np.ndarray) -> np.ndarray:
        """Numbers (N,) in 0..1 of the rows `live` for one step."""
        return self._rng.random(self._shape)[:, self._rank].ravel()[live]


@dataclass(frozen=True)
class ActionSource:
    """Who chooses the way in training.

    Attributes:
        teacher_forced: (B,) bool, rows that the teacher leads; the follower samples in the others.
        draws: Source of sampled actions; not needed if the teacher leads everywhere.
        sampled_steps: Share of the steps at which the follower samples in teacher_forced rows, too.
    """

    teacher_forced: np.ndarray
    draws: Draws | None = None
    sampled_steps: float = 0.0

    def __post_init__(self) -> None:
        if self.draws is None and (self.sampled_steps or not self.teacher_forced.all()):
            raise ValueError("sampled actions need draws")


class Decisions(NamedTuple):
    """What a follower decided in a batch of B episodes: M decisions, step after step.

    Attributes:
        sizes: decisions of each step.
        rows: (M,) episode of each.
        scores: (M, K) logits.
        hidden: (M, H) what a critic judges.
        teacher: (M,) the teacher's actions.
        actions: (M,) actions taken.
        rewards: (M,) rewards for them.
        cut: (C,) episodes that were cut off.
        cut_hidden: (C, H) hidden state of these after one more step.
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


@dataclass
class _Record:
    """Decisions step by step."""

    rows: list[np.ndarray] = field(default_factory=list)
    scores: list[Tensor] = field(default_factory=list)
    hidden: list[Tensor] = field(default_factory=list)
    teacher: list[np.ndarray] = field(default_factory=list)
    actions: list[np.ndarray] = field(default_factory=list)


class FollowerAgent:
    """A follower that walks.

    Args:
        follower: The network; its training flag decides on dropout.
        features: Of the environment that it walks in.
        reads: Read the instruction; without, only its first and last token.
        way: Who chooses the way in training, where decisions are kept; greedy without.
        tokens: (B, L) instructions in place of the environment's.
        noise: Feature dropout in place of a fresh one.

    Attributes:
        critic: Set it to have `explain` tell what the rest of an episode is worth.
    """

    def __init__(
        self,
        follower: Follower,
        features: DeviceFeatures,
        reads: bool = True,
        way: ActionSource | None = None,
        tokens: np.ndarray | None = None,
        noise: VisualNoise | None = None,
    ) -> None:
        self.follower = follower
        self.features = features
        self.reads = reads
        self._way = way
        self._tokens = tokens
        self._noise = noise
        self._device = next(follower.parameters()).device
        self._rows = np.arange(0)
        self._trails = np.zeros((0, 0), np.int64)  # (N, T) nodes before, if visits are marked
        self._context: Context
        self._state: State
        self._record = _Record()
        self._last: Decision | None = None
        self.critic: Critic | None = None

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Read the instructions."""
        tokens = observation["instruction"] if self._tokens is None else self._tokens
        tokens = tokens[live] if self.reads else without_words(tokens[live])
        self._context, self._state = self.follower.encoder(self._tensor(tokens))
        if self._noise is None:
            self._noise = self.follower.noise(self._tensor(scan_numbers(info["scan"][live])))
        self._rows = live
        self._trails = np.zeros((len(live), 0), np.int64)

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """One step of the network for the live rows."""
        decision = self.decide(observation, live)
        self._state = decision.state
        if self.follower.visit_features:
            self._trails = np.column_stack([self._trails, observation["viewpoint"][live]])
        if self._way is None:
            self._last = decision
            return decision.scores.argmax(1).cpu().numpy()
        teacher = np.asarray(info["teacher_action"])[live]
        actions = self._choose(decision.scores.detach(), teacher, live, self._way)
        record = self._record
        record.rows.append(live)
        record.scores.append(decision.scores)
        record.hidden.append(decision.hidden)
        record.teacher.append(teacher)
        record.actions.append(actions)
        return actions

    def explain(self) -> dict[str, np.ndarray | None]:
        """What was behind the last actions of a greedy walk, a row per row that was live.

        Returns:
            `probabilities` (N, K) of the actions, 0 where impossible; `stop` (N,), that of
            stopping; `value` (N,) by the critic, None without; `word_attention` (N, L) over the
            tokens that were read; `view_attention` (N, 36).

        Raises:
            RuntimeError: Nothing has been decided, or decisions are kept for training.
        """
        last = self._last
        if last is None:
            raise RuntimeError("only an agent that has acted greedily can explain what it did")
        with torch.no_grad():
            probabilities = torch.softmax(last.scores, 1).cpu().numpy()
            value = None if self.critic is None else self.critic(last.hidden).cpu().numpy()
        return {
            "probabilities": probabilities,
            "stop": probabilities[:, STOP],
            "value": value,
            "word_attention": last.word_weights.detach().cpu().numpy(),
            "view_attention": last.view_weights.detach().cpu().numpy(),
        }

    def decide(self, observation: Observation, live: np.ndarray) -> Decision:
        """Score the candidates of the live rows, without going on to the next state."""
        self._keep(live)
        possible = observation["action_mask"][live]
        # The space has room for the viewpoint with the most neighbours: cut what none can choose.
        width = int(np.flatnonzero(possible.any(0))[-1]) + 1
        nodes, views = observation["viewpoint"][live], observation["view"][live]
        seen = View(*self.features.gather(nodes, views, width))
        if self.follower.visit_features:
            trails = np.column_stack([self._trails, nodes])
            seen = with_visits(seen, trails, self.features.targets)
        return self.follower.decide(seen, self._context, self._state, self._noise)

    def decisions(self, walked: Walked, look_ahead: bool) -> Decisions:
        """What was decided in a walk, and what the environment said to it.

        Args:
            walked: The walk.
            look_ahead: Compute `cut_hidden`; else it is empty, and `cut` too.
        """
        cut = walked.cut if look_ahead else walked.cut[:0]
        last = self._state.attended[:0].float()
        if cut.size:
            with torch.no_grad():
                last = self.decide(walked.observation, cut).hidden
        record = self._record
        width = max(scores.shape[1] for scores in record.scores)
        padded = [
            functional.pad(scores, (0, width - scores.shape[1]), value=-torch.inf)
            for scores in record.scores
        ]
        return Decisions(
            sizes=[len(rows) for rows in record.rows],
            rows=np.concatenate(record.rows),
            scores=torch.cat(padded),
            hidden=torch.cat(record.hidden),
            teacher=self._tensor(np.concatenate(record.teacher)),
            actions=self._tensor(np.concatenate(record.actions)),
            rewards=np.concatenate(walked.rewards),
            cut=cut,
            cut_hidden=last.detach(),
        )

    def _keep(self, live: np.ndarray) -> None:
        if len(live) == len(self._rows):
            return
        kept = np.isin(self._rows, live)
        self._trails = self._trails[kept]
        index = self._tensor(np.flatnonzero(kept))
        self._context, self._state = self._context.rows(index), self._state.rows(index)
        if self._noise is not None:
            self._noise = self._noise.rows(index)
        self._rows = live

    def _choose(
        self, scores: Tensor, teacher: np.ndarray, live: np.ndarray, way: ActionSource
    ) -> np.ndarray:
        if way.draws is None:
            return teacher
        draws = way.draws.next(live)
        sampled = sample(torch.softmax(scores, 1).cpu().numpy(), draws)
        teacher_forced = way.teacher_forced[live]
        if way.sampled_steps:
            teacher_forced = teacher_forced & (way.draws.next(live) >= way.sampled_steps)
        return np.where(teacher_forced, teacher, sampled)

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


def rollout(
    env: VlnVectorEnv,
    agent: FollowerAgent,
    instr_ids: Sequence[str],
    max_steps: int | None = None,
    look_ahead: bool = False,
) -> Decisions:
    """Walk a batch of episodes and keep what a loss needs.

    Args:
        env: Environment without autoreset.
        agent: A fresh agent that keeps its decisions.
        instr_ids: Episodes of the batch.
        max_steps: Cut episodes off here.
        look_ahead: Tell what a critic needs to judge the rest of episodes that were cut off.
    """
    return agent.decisions(walk(env, agent, instr_ids, max_steps), look_ahead)


def scan_numbers(scans: np.ndarray) -> np.ndarray:
    """(B,) number of each one's building, from 0, within the batch."""
    return np.unique(scans.astype(str), return_inverse=True)[1]


def without_words(tokens: np.ndarray) -> np.ndarray:
    """Instructions (B, L) of which only the first (BOS) and the last token (EOS) are left."""
    length = (tokens != PAD).sum(1)
    return np.stack([tokens[:, 0], tokens[np.arange(len(tokens)), length - 1]], 1)


def sample(probabilities: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Choose a column per row of (N, K) probabilities; a column of probability 0 never comes.

    Args:
        probabilities: Need not add up to 1.
        draws: (N,) uniform numbers in 0..1.
    """
    cumulative = probabilities.astype(np.float64).cumsum(1)
    return (cumulative > (draws * cumulative[:, -1])[:, None]).argmax(1)
