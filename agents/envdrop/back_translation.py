"""Back-translation: sampled paths with generated instructions, under environment dropout.

"Learning to Navigate Unseen Environments" (Tan, Yu, Bansal 2019, section 3.4): speaker and follower
share one dropout mask for all views of a building, which simulates another building.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np
import torch

from clipnav.agents.acting.environments import feature_metadata
from clipnav.agents.envdrop.augmentation import PLACEHOLDER, sample_paths
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.envdrop.follower_agent import EpisodeBatch
from clipnav.agents.envdrop.path_recording import record_paths
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.envdrop.speaker_training import load_speaker
from clipnav.agents.settings import RunConfig
from clipnav.envs.episodes import Episode, base_language, load_episodes
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.worlds import world_files
from clipnav.storage.errors import UserError
from clipnav.training import distributed
from clipnav.training.batches import BucketedBatchOrder
from clipnav.training.streams import Stream

# A follower must not be trained on the paths of these splits.
_HELD_OUT = ("val_seen", "val_unseen", "test", "test_standard", "test_challenge")


class BackTranslator:
    """Batches of sampled paths with instructions that a speaker generates."""

    def __init__(
        self,
        config: TrainConfig,
        follower: Follower,
        train: VlnVectorEnv,
        held_out: Iterable[Episode],
        group: int = 1,
    ) -> None:
        settings = config.back_translation
        assert settings.speaker is not None
        if config.instruction_ablation == "shuffled":
            raise UserError(
                "--instruction-ablation shuffled and --back-translation.speaker exclude each "
                "other, because generated instructions describe their own paths; leave one out"
            )
        self._config, self._follower = config, follower
        self.speaker = load_speaker(
            settings.speaker, train, feature_metadata(config), config.device
        )
        self._tokenizer = train.tokenizer
        graphs = train.nav_world.graphs
        seed = [config.seed, Stream.SAMPLED_PATHS]
        paths = sample_paths(graphs, train.episodes, held_out, settings.paths, seed)
        multiple = group * distributed.world_size()
        if len(paths) < multiple:
            raise UserError(
                f"--back-translation.paths {settings.paths}: {len(paths)} paths could be sampled "
                f"in the training scans, but a batch requires {multiple}; set a higher number, or "
                "train without --back-translation.speaker"
            )
        self.env = sampled_environment(train, paths, train.num_envs, config.seed)
        self.features = DeviceFeatures(self.env, config.device)
        ids = [episode.instr_id for episode in self.env.episodes]
        # Languages have the same frequencies as in the training split.
        languages = [base_language(episode.language) for episode in train.episodes]
        rng = Stream.SAMPLED_LANGUAGES.rng(config.seed)
        drawn = rng.integers(len(languages), size=len(ids))
        self._languages = dict(zip(ids, (languages[index] for index in drawn), strict=True))
        lengths = [len(episode.path) for episode in self.env.episodes]
        size = train.num_envs * distributed.world_size()
        self._order = BucketedBatchOrder(ids, lengths, size, config.bucket, config.seed, multiple)

    def names(self, iteration: int) -> list[str]:
        """Return the episodes of an iteration (from 0) on all ranks."""
        return self._order.batch(iteration)

    def batch(self, instr_ids: list[str], rng: np.random.Generator) -> EpisodeBatch:
        """Return a batch with generated instructions."""
        paths = record_paths(self.env, self.features, instr_ids)
        scans = torch.from_numpy(paths.scans).to(paths.views.panorama.device)
        kind = self._config.back_translation.dropout
        noise = self._follower.noise(scans, kind)
        step_noise = None if noise is None else noise.rows(paths.views.rows)
        languages = self.speaker.language_ids([self._languages[instr_id] for instr_id in instr_ids])
        with torch.no_grad():
            context = self.speaker.network.encode(paths.views, step_noise)
            tokens = self.speaker.network.generate(context, languages, self.speaker.longest_decoded)
        if self.speaker.tokenizer != self._tokenizer:
            texts = [self.speaker.tokenizer.decode(row) for row in tokens]
            longest = self._config.max_instruction_length
            tokens = np.stack([self._tokenizer.encode(text, longest) for text in texts])
        return EpisodeBatch(instr_ids, rng, tokens, noise)


def held_out_episodes(config: RunConfig) -> list[Episode]:
    """Return the episodes of all existing validation and test splits, in all languages.

    The evaluation splits of the run are included.
    """
    files = world_files(config.world, config.data_dir)
    episodes: list[Episode] = []
    for split in dict.fromkeys((*_HELD_OUT, *config.evaluation_splits)):
        try:
            files.annotations(config.dataset, split)
        except FileNotFoundError:
            continue
        episodes += load_episodes(config.dataset, split, files)
    return episodes


def sampled_environment(
    train: VlnVectorEnv, paths: list[tuple[str, tuple[str, ...]]], rows: int, seed: int
) -> VlnVectorEnv:
    """Build an environment over sampled paths that is otherwise like that of the training split."""
    headings = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(paths))
    episodes = [
        Episode(f"{number}_0", number, scan, path, heading, PLACEHOLDER, "en")
        for number, ((scan, path), heading) in enumerate(zip(paths, headings.tolist(), strict=True))
    ]
    scans = sorted({scan for scan, _ in paths})
    nav_world = NavWorld.load(scans, train.files.connectivity_dir)
    split = dataclasses.replace(train.split, episodes=episodes, nav_world=nav_world)
    return VlnVectorEnv(split, rows, train.settings, train.autoreset_mode)
