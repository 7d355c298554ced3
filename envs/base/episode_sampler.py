"""EpisodeSampler: the choice of each agent's next episode."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from gymnasium.utils import seeding

from clipnav.storage.errors import UserError

# Number of draws per call of a generator: one call costs as much as a hundred draws.
_AHEAD = 256


class EpisodeSampler:
    """Draws episodes for B agents, each with its own random generator.

    Agent i of a batch therefore gets the same episodes as a single agent with the same seed.
    """

    def __init__(
        self,
        instr_ids: Sequence[str],
        num_agents: int,
        shuffle: bool,
        other_ids: Sequence[str] = (),
    ) -> None:
        """Prepare to sample."""
        self._generators: list[np.random.Generator] = []
        self._num_episodes = len(instr_ids)
        self._numbers = {instr_id: number for number, instr_id in enumerate(instr_ids)}
        for number, other_id in enumerate(other_ids):
            self._numbers.setdefault(other_id, number)
        self._num_agents = num_agents
        self._shuffle = shuffle
        self._next = 0
        # A single agent draws one at a time, because the environment shares its generator.
        self._draws = np.zeros((num_agents, _AHEAD if num_agents > 1 else 1), dtype=np.int32)
        self._used = np.full(num_agents, self._draws.shape[1])

    @property
    def generators(self) -> list[np.random.Generator]:
        """Random generator of each agent, which may be ahead of the episodes drawn so far.

        Generators that are not seeded yet are seeded from system entropy. New generators draw the
        next episodes.
        """
        if not self._generators:
            self.seed(None)
        return list(self._generators)

    @generators.setter
    def generators(self, generators: Sequence[np.random.Generator]) -> None:
        self._generators = list(generators)
        self._used[:] = self._draws.shape[1]

    def seed(
        self, seed: int | Sequence[int | None] | None, agents: np.ndarray | None = None
    ) -> None:
        """Seed the generators; unshuffled episodes start again at the first one.

        Args:
            seed: Agent i uses `seed + i`; a sequence contains one seed per agent. None (also for
                one agent) keeps the generator, or seeds a new one from system entropy.
            agents: (M,) agents to seed; the others keep their generators. None for all.
        """
        if isinstance(seed, int | np.integer):
            seed = [int(seed) + agent for agent in range(self._num_agents)]
        if isinstance(seed, float | str):
            raise UserError(f"seed is {seed!r}, but must be a whole number or one for each agent")
        seeds = [None] * self._num_agents if seed is None else list(seed)
        seeds = [int(own) if isinstance(own, np.integer) else own for own in seeds]
        if len(seeds) != self._num_agents:
            raise UserError(f"{len(seeds)} seeds for {self._num_agents} agents")
        if agents is not None:
            chosen = set(agents.tolist())
            seeds = [own if agent in chosen else None for agent, own in enumerate(seeds)]
        if not self._generators:
            self._generators = [seeding.np_random(s)[0] for s in seeds]
        for agent, own_seed in enumerate(seeds):
            if own_seed is not None:
                self._generators[agent] = seeding.np_random(own_seed)[0]
                self._used[agent] = self._draws.shape[1]
        if any(own_seed is not None for own_seed in seeds):
            self._next = 0

    def draw_from(self, generator: np.random.Generator) -> None:
        """Use a generator of the caller for the only agent."""
        if self._num_agents != 1:
            raise UserError(f"one generator cannot serve {self._num_agents} agents")
        self._generators = [generator]

    def draw(self, agents: np.ndarray) -> np.ndarray:
        """Return the (M,) int64 indices of the next episodes of M agents."""
        count = self._num_episodes
        if not self._shuffle:
            numbers = (self._next + np.arange(len(agents))) % count
            self._next = (self._next + len(agents)) % count
            return numbers
        used, ahead = self._used[agents], self._draws.shape[1]
        for agent in agents[used == ahead]:
            self._draws[agent] = self._generators[agent].integers(count, size=ahead)
        used %= ahead
        self._used[agents] = used + 1
        return self._draws[agents, used].astype(np.int64)

    def find(self, agents: np.ndarray, instr_ids: Sequence[str]) -> np.ndarray:
        """Return the (M,) int64 indices of episodes by id.

        Args:
            agents: (M,) agents that get an episode.
        """
        if isinstance(instr_ids, str) or len(instr_ids) != self._num_agents:
            raise UserError(
                f"episode_ids must contain one instr_id for each of {self._num_agents} agents, "
                f"but is {instr_ids!r}"
            )
        chosen = [instr_ids[int(agent)] for agent in agents]
        for instr_id in chosen:
            if not isinstance(instr_id, str):
                raise UserError(
                    f"{instr_id!r} is not the instr_id of an episode, which is a string, such as "
                    f"{next(iter(self._numbers))!r}"
                )
        numbers = [self._numbers.get(instr_id, -1) for instr_id in chosen]
        if -1 in numbers:
            unknown = chosen[numbers.index(-1)]
            raise UserError(
                f"no episode {unknown!r} among the {self._num_episodes} loaded episodes, which "
                f"start with {next(iter(self._numbers))!r}; use one of these, or load another split"
            )
        return np.array(numbers)


def reset_options(
    options: Mapping[str, Any] | None, num_agents: int
) -> tuple[np.ndarray, Sequence[str] | None]:
    """Return the (M,) agents to restart and the ids of the episodes chosen, if any."""
    options = dict(options or {})
    episode_ids = options.pop("episode_ids", None)
    mask = options.pop("reset_mask", None)
    if options:
        raise UserError(
            f"options must be 'episode_ids', one instr_id for each of {num_agents} agents, "
            f"and 'reset_mask', not {sorted(options)}"
        )
    if mask is None:
        return np.arange(num_agents), episode_ids
    chosen = np.asarray(mask)
    if chosen.shape != (num_agents,) or chosen.dtype != bool or not chosen.any():
        raise UserError(
            f"reset_mask must be {num_agents} bools, at least one of them true, not {mask}"
        )
    return np.flatnonzero(chosen), episode_ids
