"""Shards of an export: groups of episodes whose walks and pictures one process makes at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec
import numpy as np

from clipnav.agents.demonstrations.recording.graph_walks import (
    GraphSteps,
    policy_walks,
    teacher_walks,
)
from clipnav.agents.demonstrations.recording.pictures import poses_of, write_graph_pictures
from clipnav.agents.demonstrations.recording.records import RecordedWalk
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.envs.episodes import Episode, load_episodes
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.pictures.view_pictures import ViewPictures
from clipnav.envs.pictures.world_pictures import shared_pictures
from clipnav.envs.worlds import WorldFiles, world_files
from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError
from clipnav.storage.records import read_records
from clipnav.training.streams import Stream

if TYPE_CHECKING:
    from clipnav.agents.acting.rollout import Agent
    from clipnav.envs.navigation.vector_env import VlnVectorEnv

PICTURES = "pictures"
_SHARDS = "shards"
_REMEDY = "delete the folder and export again"


@dataclass(frozen=True)
class Shard:
    """Part of an export.

    Attributes:
        config: Settings of the export.
        staging: Folder of the unfinished export.
        number: Number of the shard, from 0.
        episodes: Its episodes.
    """

    config: DemonstrationConfig
    staging: Path
    number: int
    episodes: tuple[Episode, ...]

    @property
    def path(self) -> Path:
        """File of the walks; it exists once the shard is complete."""
        return self.staging / _SHARDS / f"{self.number:06}.json"


def chosen_episodes(config: DemonstrationConfig) -> list[Episode]:
    """Return the episodes of an export, grouped by building.

    Raises:
        FileNotFoundError: There is no such split.
        UserError: It is a test split, or its file is damaged.
    """
    if config.split.startswith("test"):
        raise UserError(
            f"--split {config.split}: test splits are for evaluation, and their goals are secret; "
            "export train, val_seen or val_unseen"
        )
    files = world_files(config.world, config.data_dir)
    episodes = load_episodes(config.dataset, config.split, files, config.instruction_language)
    if config.episodes is not None:
        if config.episodes > len(episodes):
            raise UserError(
                f"--episodes {config.episodes}: {config.split} of {config.dataset} has "
                f"{len(episodes)} episodes; choose at most as many"
            )
        rng = Stream.EXPORTED_EPISODES.rng(config.seed)
        drawn = np.sort(rng.choice(len(episodes), config.episodes, replace=False))
        episodes = [episodes[number] for number in drawn]
    return sorted(episodes, key=lambda episode: episode.scan)


def make_shards(
    config: DemonstrationConfig, staging: Path, episodes: Sequence[Episode]
) -> list[Shard]:
    """Divide episodes, which are grouped by building, into shards of one building each."""
    parts: list[list[Episode]] = []
    for episode in episodes:
        full = not parts or len(parts[-1]) == config.shard_episodes
        if full or parts[-1][0].scan != episode.scan:
            parts.append([])
        parts[-1].append(episode)
    return [Shard(config, staging, number, tuple(part)) for number, part in enumerate(parts)]


def complete_shard(shard: Shard) -> int:
    """Walk the episodes of a shard and write its pictures, then its walks.

    Returns:
        Number of its steps.
    """
    maker = _maker(shard.config)
    walks = maker.walks(shard.episodes)
    maker.write_pictures(walks, shard.staging / PICTURES)
    with atomic_write(shard.path) as beside:
        beside.write_bytes(msgspec.json.encode(walks))
    return sum(len(walk.steps) for walk in walks)


class ShardWalks:
    """The walks of complete shards in order, read again by each iteration.

    Args:
        shards: The shards.
    """

    def __init__(self, shards: Sequence[Shard]) -> None:
        self._shards = shards

    def __iter__(self) -> Iterator[RecordedWalk]:
        for shard in self._shards:
            yield from read_records(shard.path, RecordedWalk, _REMEDY)


class WalkMaker(Protocol):
    """Maker of walks and of their pictures."""

    def walks(self, episodes: Sequence[Episode]) -> list[RecordedWalk]:
        """Walk episodes of one building."""
        ...

    def write_pictures(self, walks: list[RecordedWalk], folder: Path) -> None:
        """Write the pictures of walks that do not exist yet."""
        ...


class GraphWalkMaker:
    """Maker of walks on graphs and of their pictures, for the shards of one export.

    Args:
        config: Settings of the export.
    """

    def __init__(self, config: DemonstrationConfig) -> None:
        self._config = config
        self._files = world_files(config.world, config.data_dir)
        self._pictures = world_views(config)
        self._policy: tuple[VlnVectorEnv, Agent] | None = None

    def walks(self, episodes: Sequence[Episode]) -> list[RecordedWalk]:
        """Walk episodes of one building."""
        config = self._config
        if config.policy is None:
            world = _world(self._files, episodes[0].scan)
            return teacher_walks(world, episodes, config.teacher, GraphSteps(world))
        if self._policy is None:
            from clipnav.agents.demonstrations.recording.policies import load_policy

            self._policy = load_policy(config)
        env, agent = self._policy
        import torch

        with torch.inference_mode():
            return policy_walks(
                env,
                agent,
                episodes,
                GraphSteps(env.nav_world),
                config.teacher_probability,
                config.seed,
            )

    def write_pictures(self, walks: list[RecordedWalk], folder: Path) -> None:
        """Write the pictures of walks that do not exist yet."""
        config = self._config
        poses = (pose for walk in walks for pose in poses_of(walk, config))
        write_graph_pictures(poses, folder, self._pictures.rgb, config.jpeg_quality)


def world_views(config: DemonstrationConfig) -> ViewPictures:
    """Return the pictures of a world, in the size of an export.

    Raises:
        UserError: The world has no pictures, or --scan-dir has no effect.
    """
    files = world_files(config.world, config.data_dir)
    size, vfov = config.picture_shape, float(np.deg2rad(config.vfov))
    return shared_pictures(files, scan_dir=config.scan_dir, size=size, vfov=vfov)


@lru_cache(maxsize=2)
def _world(files: WorldFiles, scan: str) -> NavWorld:
    return NavWorld.load([scan], files.connectivity_dir)


@lru_cache(maxsize=1)
def _maker(config: DemonstrationConfig) -> WalkMaker:
    if config.walks_in == "graph":
        return GraphWalkMaker(config)
    from clipnav.agents.demonstrations.recording.continuous_walks import ContinuousWalkMaker

    return ContinuousWalkMaker(config)
