"""Paths with instructions for pre-training: those of a split, and sampled ones of a speaker."""

from typing import NamedTuple

import numpy as np
import torch

from clipnav.agents.acting.environments import feature_metadata
from clipnav.agents.duet.building import map_features
from clipnav.agents.duet.memory import WorldFeatures
from clipnav.agents.duet.settings import MapPretrainConfig
from clipnav.agents.envdrop.augmentation import sample_paths
from clipnav.agents.envdrop.back_translation import held_out_episodes, sampled_environment
from clipnav.agents.envdrop.path_recording import record_paths
from clipnav.agents.envdrop.speaker_training import load_speaker
from clipnav.agents.layers.instructions import readable
from clipnav.envs.episodes import base_language
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.references import ReferencePaths
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.training.batches import BucketedBatchOrder
from clipnav.training.streams import Stream


class PathExamples(NamedTuple):
    """Paths with instructions.

    Attributes:
        features: Features of their world.
        references: All paths of the source.
        episodes: (B,) indices of the paths.
        tokens: (B, L) instructions that the agent reads.
    """

    features: WorldFeatures
    references: ReferencePaths
    episodes: np.ndarray
    tokens: np.ndarray


class SplitPaths:
    """Batches of the paths and instructions of the training split."""

    def __init__(self, config: MapPretrainConfig, env: VlnVectorEnv) -> None:
        self._features = map_features(env, config.device)
        self._references = ReferencePaths.of(env.nav_world, env.episodes)
        self._tokens = readable(env.split.tokens, config.reads_instructions)
        self._order = batch_order(config, [len(episode.instruction) for episode in env.episodes])

    def batch(self, iteration: int) -> PathExamples:
        """Return the examples of an iteration (from 0) that belong to this rank."""
        episodes = rank_share(self._order, iteration)
        return PathExamples(self._features, self._references, episodes, self._tokens[episodes])


class GeneratedPaths:
    """Batches of sampled paths with the instructions of a speaker.

    Instructions are generated for `batch_size` consecutive paths when one of them is drawn first,
    and kept. A resumed run therefore generates the same ones.
    """

    def __init__(self, config: MapPretrainConfig, env: VlnVectorEnv) -> None:
        assert config.speaker is not None
        if config.instruction_ablation == "shuffled":
            raise UserError(
                "--instruction-ablation shuffled and --speaker exclude each other, because "
                "generated instructions describe their own paths; leave one out"
            )
        self._config = config
        self._speaker = load_speaker(config.speaker, env, feature_metadata(config), config.device)
        held_out = held_out_episodes(config)
        seed = [config.seed, Stream.SAMPLED_PATHS]
        graphs = env.nav_world.graphs
        paths = sample_paths(graphs, env.episodes, held_out, config.paths, seed)
        if len(paths) < distributed.world_size():
            raise UserError(
                f"--paths {config.paths}: {len(paths)} paths could be sampled in the training "
                "scans; set a higher number, or train without --speaker"
            )
        self._env = sampled_environment(env, paths, config.batch_size, config.seed)
        self._tokenizer = env.tokenizer
        self._views = DeviceFeatures(self._env, config.device)
        self._features = map_features(self._env, config.device)
        episodes = self._env.episodes
        self._references = ReferencePaths.of(self._env.nav_world, episodes)
        languages = [base_language(episode.language) for episode in env.episodes]
        rng = Stream.SAMPLED_LANGUAGES.rng(config.seed)
        self._languages = [languages[i] for i in rng.integers(len(languages), size=len(episodes))]
        self._tokens: dict[int, np.ndarray] = {}
        self._order = batch_order(config, [len(episode.path) for episode in episodes])

    def batch(self, iteration: int) -> PathExamples:
        """Return the examples of an iteration (from 0) that belong to this rank."""
        episodes = rank_share(self._order, iteration)
        for index in episodes.tolist():
            if index not in self._tokens:
                size = self._config.batch_size
                start = index // size * size
                self._describe(range(start, min(start + size, len(self._env.episodes))))
        tokens = np.stack([self._tokens[index] for index in episodes.tolist()])
        read = readable(tokens, self._config.reads_instructions)
        return PathExamples(self._features, self._references, episodes, read)

    def _describe(self, episodes: range) -> None:
        """Generate the instructions of paths."""
        speaker = self._speaker
        ids = [self._env.episodes[index].instr_id for index in episodes]
        paths = record_paths(self._env, self._views, ids)
        languages = speaker.language_ids([self._languages[index] for index in episodes])
        with torch.no_grad():
            context = speaker.network.encode(paths.views)
            generated = speaker.network.generate(context, languages, speaker.longest_decoded)
        longest = self._config.max_instruction_length
        for index, row in zip(episodes, generated, strict=True):
            text = speaker.tokenizer.decode(row)
            self._tokens[index] = self._tokenizer.encode(text, longest)


def batch_order(config: MapPretrainConfig, lengths: list[int]) -> BucketedBatchOrder:
    """Return the order of examples with some lengths, named by their indices."""
    world_size = distributed.world_size()
    names = [str(index) for index in range(len(lengths))]
    size = config.batch_size * world_size
    return BucketedBatchOrder(names, lengths, size, config.bucket, config.seed, world_size)


def rank_share(order: BucketedBatchOrder, iteration: int) -> np.ndarray:
    """Return the indices of an iteration's examples that belong to this rank."""
    indices = np.array(order.batch(iteration)).astype(int)
    return indices[distributed.rank() :: distributed.world_size()]
