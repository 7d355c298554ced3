"""Walking agents through a vector environment, and the follower as such an agent.

Episodes of a batch start together. One that has ended leaves the batch: agents see and decide for
live rows only, so nothing is computed for episodes that are over.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor

from agents.envdrop.follower import PAD, Context, Decision, Follower, State
from agents.envdrop.visual import View, VisualNoise
from envs.observations import angle_feature
from envs.vector_env import VlnVectorEnv

Observation = dict[str, np.ndarray]
Walker = Literal["teacher", "sample", "argmax", "mixed"]

STOP = 0


class Agent(Protocol):
    """Something that walks episodes of a vector environment."""

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Take up new episodes: the rows `live` of the batch."""
        ...

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """Choose actions (N,) for the rows `live` (N,), in their order; 0 stops."""
        ...


def walk(
    env: VlnVectorEnv, agent: Agent, instr_ids: Sequence[str], max_steps: int | None = None
) -> None:
    """Let an agent walk episodes to their end; `env.trajectories()` then tells where it went.

    Args:
        env: Environment without autoreset (`AutoresetMode.DISABLED`).
        agent: Who chooses.
        instr_ids: Episodes, at most `env.num_envs`; row i of the environment walks the i-th.
        max_steps: Stop here even where the environment would go on.
    """
    spare = env.num_envs - len(instr_ids)
    if spare < 0:
        raise ValueError(f"{len(instr_ids)} episodes for {env.num_envs} environments")
    padded = [*instr_ids, *[instr_ids[0]] * spare]
    observation, info = env.reset(options={"episode_ids": padded})
    live = np.arange(len(instr_ids))
    agent.begin(observation, info, live)
    for _ in range(max_steps or env.max_episode_steps):
        actions = np.full(env.num_envs, STOP)
        actions[live] = agent.act(observation, info, live)
        observation, _, terminated, truncated, info = env.step(actions)
        live = live[~(terminated | truncated)[live]]
        if not live.size:
            break


@dataclass
class Decisions:
    """What a follower decided in a batch of episodes, step after step.

    Attributes:
        scores: per step the logits (N, K) of live episodes; N shrinks from step to step.
        teacher: per step the teacher's actions (N,).
        episodes: episodes in the batch.
    """

    scores: list[Tensor] = field(default_factory=list)
    teacher: list[Tensor] = field(default_factory=list)
    episodes: int = 0


class FollowerAgent:
    """A follower that walks: greedily, by sampling, or along the teacher's path.

    Args:
        follower: The network; its training flag decides on dropout.
        feedback: Whose action is taken: "teacher", "sample" and "argmax" (the follower's), or
            "mixed", the teacher's in every other episode and a sampled one in the rest.
        rng: Source of sampled actions.
        record: Keep scores and teacher actions in `decisions`.
        language: Read the instruction; without, only its first and last token.
    """

    def __init__(
        self,
        follower: Follower,
        feedback: Walker = "argmax",
        rng: np.random.Generator | None = None,
        record: bool = False,
        language: bool = True,
    ) -> None:
        if rng is None and feedback in ("sample", "mixed"):
            raise ValueError(f'feedback "{feedback}" draws actions: give it a generator')
        self.follower = follower
        self.feedback = feedback
        self.record = record
        self.language = language
        self.decisions = Decisions()
        self._rng = rng
        self._device = next(follower.parameters()).device
        self._rows = np.arange(0)
        self._context: Context
        self._state: State
        self._noise: VisualNoise | None = None

    def begin(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> None:
        """Read the instructions."""
        tokens = observation["instruction"][live]
        tokens = tokens if self.language else without_words(tokens)
        self._context, self._state = self.follower.encoder(self._tensor(tokens))
        self._noise = self.follower.noise(len(live))
        self._rows = live
        self.decisions = Decisions(episodes=len(live))

    def act(self, observation: Observation, info: dict[str, Any], live: np.ndarray) -> np.ndarray:
        """One step of the network for the live rows."""
        self._keep(live)
        decision = self._decide(observation, live)
        scores = decision.scores
        self._state = decision.state
        teacher = np.asarray(info["teacher_action"])[live]
        if self.record:
            self.decisions.scores.append(scores)
            self.decisions.teacher.append(self._tensor(teacher).long())
        return self._choose(scores.detach(), teacher, live)

    def _decide(self, observation: Observation, live: np.ndarray) -> Decision:
        possible = observation["action_mask"][live]
        # The space has room for the viewpoint with the most neighbours: cut what nobody can choose.
        width = int(np.flatnonzero(possible.any(0))[-1]) + 1
        heading, elevation = observation["heading"][live], observation["elevation"][live]
        angle = angle_feature(heading, elevation, self.follower.angle)
        view = View(
            self._tensor(observation["panorama"][live]),
            self._tensor(observation["candidates"][live, :width]),
            self._tensor(possible[:, :width].astype(bool)),
            self._tensor(angle),
        )
        return self.follower.decide(view, self._context, self._state, self._noise)

    def _keep(self, live: np.ndarray) -> None:
        if len(live) == len(self._rows):
            return
        index = self._tensor(np.flatnonzero(np.isin(self._rows, live)))
        self._context, self._state = self._context.rows(index), self._state.rows(index)
        if self._noise is not None:
            self._noise.keep(index)
        self._rows = live

    def _choose(self, scores: Tensor, teacher: np.ndarray, live: np.ndarray) -> np.ndarray:
        if self.feedback == "teacher":
            return teacher
        if self.feedback == "argmax":
            return scores.argmax(1).cpu().numpy()
        assert self._rng is not None
        sampled = sample(torch.softmax(scores, 1).cpu().numpy(), self._rng)
        return np.where(live % 2 == 0, teacher, sampled) if self.feedback == "mixed" else sampled

    def _tensor(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self._device)


def rollout(
    env: VlnVectorEnv,
    follower: Follower,
    instr_ids: Sequence[str],
    feedback: Walker = "teacher",
    rng: np.random.Generator | None = None,
    language: bool = True,
    max_steps: int | None = None,
) -> Decisions:
    """Walk a batch of episodes and keep what a loss needs.

    Args:
        env: Environment without autoreset.
        follower: Network; dropout as in its training flag.
        instr_ids: Episodes of the batch.
        feedback: Who chooses the way, see `FollowerAgent`.
        rng: Source of sampled actions.
        language: Read the instructions.
        max_steps: Cut episodes off here.
    """
    agent = FollowerAgent(follower, feedback, rng, record=True, language=language)
    walk(env, agent, instr_ids, max_steps)
    return agent.decisions


def without_words(tokens: np.ndarray) -> np.ndarray:
    """Instructions (B, L) of which only the first (BOS) and the last token (EOS) are left."""
    length = (tokens != PAD).sum(1)
    return np.stack([tokens[:, 0], tokens[np.arange(len(tokens)), length - 1]], 1)


def sample(probabilities: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Draw one column per row of (N, K) probabilities; a column of probability 0 never comes."""
    cumulative = probabilities.astype(np.float64).cumsum(1)
    draws = rng.random(len(probabilities)) * cumulative[:, -1]
    return (cumulative > draws[:, None]).argmax(1)
