"""BatchObserver: the whole observation of a batch of agents, instruction included."""

import numpy as np
from gymnasium import spaces

from clipnav.envs.episodes.splits import LoadedSplit
from clipnav.envs.navigation.observations import (
    FeatureObserver,
    IndexObserver,
    Observation,
    Observer,
)
from clipnav.envs.navigation.settings import PICTURES, EnvSettings
from clipnav.envs.navigation.walks import Walks


class BatchObserver:
    """Observes the instructions of a batch of agents, and what its settings choose."""

    def __init__(self, split: LoadedSplit, settings: EnvSettings, num_agents: int) -> None:
        """Prepare to observe."""
        self._observer = _make_observer(split, settings, num_agents)
        self._tokens = split.tokens
        self._num_agents, self._num_words = num_agents, len(split.tokenizer)
        self._kept = None if settings.copy else self._buffers()

    def space(self) -> spaces.Dict:
        """Return the space of one agent's observation."""
        length = self._tokens.shape[1]
        instruction = spaces.Box(0, self._num_words - 1, (length,), np.int32)
        return spaces.Dict({"instruction": instruction, **self._observer.space()})

    def observe(self, walks: Walks) -> Observation:
        """Return the observations of all agents, in new arrays unless the settings reuse them."""
        observation = self._buffers() if self._kept is None else self._kept
        words = observation["instruction"]
        self._tokens.take(walks.episodes, axis=0, out=words, mode="clip")
        self._observer.observe(walks.nodes, walks.views, observation)
        return observation

    def _buffers(self) -> Observation:
        shape = self._num_agents, self._tokens.shape[1]
        return {"instruction": np.empty(shape, dtype=np.int32), **self._observer.buffers()}


def _make_observer(split: LoadedSplit, settings: EnvSettings, num_agents: int) -> Observer:
    world = split.nav_world
    if settings.observe in PICTURES:
        # Imported here, because other observations do not require the packages of pictures.
        from clipnav.envs.navigation.picture_observer import PictureObserver, observed_pictures

        return PictureObserver(
            world, observed_pictures(split.files, settings), settings, num_agents
        )
    if settings.observe == "indices":
        return IndexObserver(world, num_agents)
    return FeatureObserver(world, split.store, settings.angle_feature_size, num_agents)
