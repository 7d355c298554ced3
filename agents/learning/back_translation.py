"""Back-translation: a speaker describes paths in environments that dropout has changed.

"Learning to Navigate Unseen Environments" (Tan, Yu, Bansal 2019, section 3.4): the same features
are dropped for the speaker and for the follower, in all views of a building, as if it were another.
"""

import dataclasses
from collections.abc import Iterable

import numpy as np
import torch

from agents.acting.environments import feature_metadata
from agents.acting.speaking import described_paths
from agents.configs import TrainConfig
from agents.envdrop.follower import Follower
from agents.learning.augmentation import UNTOLD, sample_paths
from agents.learning.lessons import Batch
from agents.learning.speaker_training import load_speaker
from envs.episodes import Episode, base_language, load_episodes
from envs.graphs.nav_world import NavWorld
from envs.navigation.device_features import DeviceFeatures
from envs.navigation.vector_env import VlnVectorEnv
from envs.worlds import world_files
from training.batches import BucketedBatchOrder

_PATHS, _LANGUAGES = 51, 52
# Whichever of them a run evaluates on, its follower must not learn their paths.
_HELD_OUT = ("val_seen", "val_unseen", "test", "test_standard", "test_challenge")


class BackTranslator:
    """Batches of sampled paths, with the instructions that a speaker gives.

    Args:
        config: Settings of the run; they name the speaker.
        follower: Whose environment dropout is shared with the speaker.
        train: Environment over the training split.
        secret: Episodes of validation and test, whose paths are left out.
        rows: Episodes of a batch in this process.
        processes: How many share the batches.
        group: Rows that belong together; a batch has as many groups in each process.

    Raises:
        ValueError: The run tells the words of other paths; the speaker does not fit it; or there
            are too few paths to sample.
    """

    def __init__(
        self,
        config: TrainConfig,
        follower: Follower,
        train: VlnVectorEnv,
        secret: Iterable[Episode],
        rows: int,
        processes: int,
        group: int = 1,
    ) -> None:
        settings = config.back_translation
        assert settings.speaker is not None
        if config.language == "shuffled":
            raise ValueError(
                "--language shuffled and --back-translation.speaker exclude each other: a speaker "
                "tells of the right path"
            )
        self._config, self._follower = config, follower
        self.speaker = load_speaker(
            settings.speaker, train, feature_metadata(config), config.device
        )
        self._tokenizer = train.tokenizer
        graphs = train.nav_world.graphs
        seed = [config.seed, _PATHS]
        paths = sample_paths(graphs, train.episodes, secret, settings.paths, seed)
        multiple = group * processes
        if len(paths) < multiple:
            raise ValueError(
                f"--back-translation.paths {settings.paths}: {len(paths)} could be sampled in the "
                f"training scans, but a batch needs {multiple}; ask for more, or learn without "
                "--back-translation.speaker where the scans hold no more"
            )
        self.env = _environment(train, paths, rows, config.seed)
        self.features = DeviceFeatures(self.env, config.device)
        ids = [episode.instr_id for episode in self.env.episodes]
        # Like the training split, which says how many of all instructions are in which language.
        spoken = [base_language(episode.language) for episode in train.episodes]
        rng = np.random.default_rng([config.seed, _LANGUAGES])
        drawn = rng.integers(len(spoken), size=len(ids))
        self._languages = dict(zip(ids, (spoken[index] for index in drawn), strict=True))
        self.speaker.numbers(sorted(set(spoken)))  # raises where it lacks a language
        lengths = [len(episode.path) for episode in self.env.episodes]
        self._order = BucketedBatchOrder(
            ids, lengths, rows * processes, config.bucket, config.seed, multiple
        )

    def names(self, iteration: int) -> list[str]:
        """Episodes of an iteration (from 0), of all processes."""
        return self._order.batch(iteration)

    def batch(self, instr_ids: list[str], rng: np.random.Generator) -> Batch:
        """Have the paths of episodes described.

        Args:
            instr_ids: The episodes.
            rng: Source of the follower's actions.
        """
        described = described_paths(self.env, self.features, instr_ids)
        device = described.seen.panorama.device
        scans = torch.from_numpy(described.scans).to(device)
        kind = self._config.back_translation.dropout
        noise = self._follower.noise(scans, kind)
        own = None if noise is None else noise.rows(described.seen.rows)
        languages = self.speaker.numbers([self._languages[instr_id] for instr_id in instr_ids])
        with torch.no_grad():
            context = self.speaker.network.encode(described.seen, own)
            tokens = self.speaker.network.generate(context, languages, self.speaker.longest_decoded)
        if self.speaker.tokenizer != self._tokenizer:
            tokens = self._translated(tokens)
        return Batch(instr_ids, rng, tokens, noise)

    def _translated(self, tokens: np.ndarray) -> np.ndarray:
        """Instructions in the words of the follower instead of the speaker's."""
        texts = [self.speaker.tokenizer.decode(row) for row in tokens]
        longest = self._config.max_instruction_length
        return np.stack([self._tokenizer.encode(text, longest) for text in texts])


def held_out_episodes(config: TrainConfig) -> list[Episode]:
    """Episodes of all splits for validation and test that are there, in all languages.

    Whatever else the run evaluates on counts among them.
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


def _environment(
    train: VlnVectorEnv, paths: list[tuple[str, tuple[str, ...]]], rows: int, seed: int
) -> VlnVectorEnv:
    """Build an environment over sampled paths that is otherwise like that of the training split.

    Args:
        train: Environment over the training split.
        paths: Scan and viewpoints of each path.
        rows: Episodes at once.
        seed: Seed for the initial headings.
    """
    headings = np.random.default_rng(seed).uniform(0, 2 * np.pi, len(paths))
    episodes = [
        Episode(f"{number}_0", number, scan, path, heading, UNTOLD, "en")
        for number, ((scan, path), heading) in enumerate(zip(paths, headings.tolist(), strict=True))
    ]
    scans = sorted({scan for scan, _ in paths})
    nav_world = NavWorld.load(scans, train.files.connectivity_dir)
    split = dataclasses.replace(train.split, episodes=episodes, nav_world=nav_world)
    return VlnVectorEnv(split, rows, train.settings, train.autoreset_mode)
