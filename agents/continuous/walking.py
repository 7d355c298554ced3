"""Walks of agents in continuous environments, and their measures."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch.nn import functional

from clipnav.agents.continuous.networks import ContinuousNetwork, Steps, Words
from clipnav.envs.base.infos import start_episodes
from clipnav.envs.base.vector_env import Observation
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.settings import FORWARD, LEFT, RIGHT, STOP
from clipnav.envs.continuous.walkers import Walker

# Probabilities of stop, forward, left and right of VLN-CE's random agent.
_RANDOM_PROBABILITIES = (0.02, 0.68, 0.15, 0.15)
_FORWARD_STEPS = 37  # of VLN-CE's hand-crafted agent


class Seen(NamedTuple):
    """Features of N pictures.

    Attributes:
        rgb: (N, cells, C) float16 grid features.
        depth: (N, P, P) float16 depth in 0..1.
    """

    rgb: np.ndarray
    depth: np.ndarray


class GridEncoder(Protocol):
    """What `FrozenFeatures` needs of an encoder of colour pictures."""

    name: str
    weights_sha256: str
    precision: Any
    image_size: tuple[int, int]

    def grid(self, images: np.ndarray, /) -> np.ndarray:
        """Return features (N, rows, columns, C) of pictures (N, H, W, 3) uint8."""
        ...


class FrozenFeatures:
    """Grid features of colour pictures, and small depth pictures."""

    def __init__(self, encoder: GridEncoder, depth_pixels: int, vision: bool = True) -> None:
        self._encoder, self._pixels, self._vision = encoder, depth_pixels, vision
        height, width = encoder.image_size
        blank = np.zeros((1, height, width, 3), np.uint8)
        _, rows, columns, channels = encoder.grid(blank).shape
        self.grid = rows * columns, channels

    @property
    def picture_size(self) -> tuple[int, int]:
        """Height and width in pixels of the pictures to draw."""
        return self._encoder.image_size

    @property
    def key(self) -> dict[str, str]:
        """Values that determine the features, for caches."""
        return {
            "encoder": self._encoder.weights_sha256,
            "precision": self._encoder.precision,
            "depth_pixels": str(self._pixels),
        }

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata of the weights of an agent on these features."""
        return {"encoder": self._encoder.name, "encoder_weights": self._encoder.weights_sha256}

    def of(self, observation: Observation, rows: np.ndarray) -> Seen:
        """Return the features of some rows (N,) of an observation with "rgb" and "depth"."""
        if not self._vision:
            return Seen(
                np.zeros((len(rows), *self.grid), np.float16),
                np.zeros((len(rows), self._pixels, self._pixels), np.float16),
            )
        grid = self._encoder.grid(observation["rgb"][rows])
        depth = torch.from_numpy(observation["depth"][rows][..., 0])[:, None]
        small = functional.adaptive_avg_pool2d(depth, self._pixels)[:, 0]
        rgb = grid.reshape(len(rows), *self.grid).astype(np.float16)
        return Seen(rgb, small.numpy().astype(np.float16))


class NetworkWalker:
    """An agent with a network."""

    def __init__(
        self,
        network: ContinuousNetwork,
        features: FrozenFeatures,
        use_instructions: bool = True,
        generator: torch.Generator | None = None,
        words_of: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ) -> None:
        """Join a network with its features.

        Args:
            generator: Source of sampled actions; None for the most probable ones.
            words_of: Turns the token ids (B, L) of instructions into those that the network reads.
        """
        self._network, self._features, self._generator = network, features, generator
        self._words_of = words_of
        self._reads = use_instructions
        self._words: Words | None = None
        self._state = self._previous = torch.empty(0)
        self.seen: Any = None  # features of the active agents in the last step

    @torch.no_grad()
    def start(self, observation: Observation, info: Any) -> None:
        """Read the instructions."""
        del info
        ids = torch.from_numpy(self._words_of(observation["instruction"])).long()
        device = self._network.head.actions.weight.device
        self._words = self._network.text((ids if self._reads else ids * 0).to(device))
        self._state = self._network.first_state(len(ids))
        self._previous = torch.zeros(len(ids), dtype=torch.long, device=device)

    @torch.no_grad()
    def act(self, observation: Observation, info: Any, active: np.ndarray) -> np.ndarray:
        """Return actions (B,) after one step of the network."""
        del info
        assert self._words is not None
        device = self._state.device
        self.seen = self._features.of(observation, active)
        rows = torch.from_numpy(active).to(device)
        words = Words(*(part[rows] for part in self._words))
        rgb, depth = (torch.from_numpy(part).float().to(device)[:, None] for part in self.seen)
        steps = Steps(rgb, depth, self._previous[rows, None])
        output = self._network(words, steps, self._state[:, rows])
        self._state[:, rows] = output.state
        actions = np.full(len(self._previous), STOP)
        logits = output.logits[:, 0]
        if self._generator is None:
            chosen = logits.argmax(-1).cpu()
        else:
            probabilities = logits.softmax(-1).cpu()
            chosen = torch.multinomial(probabilities, 1, generator=self._generator)[:, 0]
        actions[active] = chosen.numpy()
        self.follow(actions)
        return actions

    def follow(self, actions: np.ndarray) -> None:
        """Note that other actions (B,) than those of `act` are carried out."""
        self._previous = torch.from_numpy(actions + 1).to(self._previous.device)


class RandomWalker:
    """VLN-CE's random agent."""

    def __init__(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def start(self, observation: Observation, info: Any) -> None:
        """Do nothing."""

    def act(self, observation: Observation, info: Any, active: np.ndarray) -> np.ndarray:
        """Return random actions (B,)."""
        return self._rng.choice(4, size=len(observation["instruction"]), p=_RANDOM_PROBABILITIES)


class ForwardWalker:
    """VLN-CE's hand-crafted agent: a random heading, then 37 steps forward and a stop."""

    def __init__(self, seed: int, turns_per_circle: int) -> None:
        self._rng, self._circle = np.random.default_rng(seed), turns_per_circle
        self._turns = self._steps = np.empty(0, int)

    def start(self, observation: Observation, info: Any) -> None:
        """Draw headings."""
        count = len(observation["instruction"])
        half = self._circle // 2
        self._turns = self._rng.integers(-half, self._circle - half, count)
        self._steps = np.zeros(count, int)

    def act(self, observation: Observation, info: Any, active: np.ndarray) -> np.ndarray:
        """Return a turn, a step forward, or stop."""
        turning = self._turns != 0
        turns = np.where(self._turns > 0, LEFT, RIGHT)
        moves = np.where(self._steps < _FORWARD_STEPS, FORWARD, STOP)
        self._turns = self._turns - np.sign(self._turns)
        self._steps = self._steps + ~turning
        return np.where(turning, turns, moves)


class ExpertWalker:
    """The environment's teacher."""

    def start(self, observation: Observation, info: Any) -> None:
        """Do nothing."""

    def act(self, observation: Observation, info: Any, active: np.ndarray) -> np.ndarray:
        """Return the actions of the teacher."""
        return info["teacher_action"]


def open_buildings(
    env: ContinuousVectorEnv, episodes: Sequence[int], check: Callable[[], None]
) -> None:
    """Open the buildings of episodes one by one; building one takes seconds."""
    for scan in dict.fromkeys(env.episodes[number].scan for number in episodes):
        check()
        env.simulator.floor(scan)


def never() -> None:
    """Never give up."""


def walk_batch(
    env: ContinuousVectorEnv,
    walker: Walker,
    episodes: Sequence[int],
    check: Callable[[], None] = never,
) -> None:
    """Let an agent walk up to `num_envs` episodes of an environment."""
    ids = [env.episodes[number].instr_id for number in episodes]
    open_buildings(env, episodes, check)
    observation, info, active = start_episodes(env, ids)
    walker.start(observation, info)
    while active.size:
        check()
        actions = walker.act(observation, info, active)
        standing = np.ones(env.num_envs, bool)
        standing[active] = False
        actions = np.where(standing, STOP, actions)
        observation, _, terminated, truncated, info = env.step(actions)
        active = active[~(terminated | truncated)[active]]


def walk_all(
    env: ContinuousVectorEnv,
    walker: Walker,
    episodes: Sequence[int],
    finished: Callable[[list[int]], None] | None = None,
    check: Callable[[], None] = never,
) -> list[dict[str, float]]:
    """Let an agent walk episodes of an environment and return the measures of each.

    Args:
        finished: Called after each batch with the indices of its episodes; their walks are then
            those of the first agents of `env.traces()`.
    """
    results: list[dict[str, float]] = []
    for start in range(0, len(episodes), env.num_envs):
        part = list(episodes[start : start + env.num_envs])
        walk_batch(env, walker, part, check)
        results += env.metrics()[: len(part)]
        if finished is not None:
            finished(part)
    return results


def spread(count: int, wanted: int | None) -> list[int]:
    """Return up to `wanted` indices that are spread evenly over 0 to `count` - 1."""
    if wanted is None or wanted >= count:
        return list(range(count))
    return [int(k) for k in np.linspace(0, count - 1, wanted).round()]
