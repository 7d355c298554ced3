"""LoadedSplit: the episodes of a split with their tokenizer, graphs and features."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs.arguments import whole_number
from envs.episodes import Episode, load_episodes
from envs.episodes.exchanged_words import exchange_words
from envs.graphs.nav_world import NavWorld
from envs.tokenizers import Tokenizer, WordTokenizer, load_tokenizer
from envs.worlds import Dataset, World, WorldFiles, world_files

if TYPE_CHECKING:
    from storage.features.store import FeatureStore

# EnvDrop reads 80 tokens of R2R, CLIP-ViL 160 of RxR. R4R joins two instructions of R2R.
MAX_INSTRUCTION_LENGTH: dict[Dataset, int] = {"r2r": 80, "rxr": 160, "r4r": 160}


@dataclass(frozen=True)
class LoadedSplit:
    """The E episodes of a split, with everything that an environment requires to run them.

    Use `dataclasses.replace` to run other episodes in the same world.

    Attributes:
        dataset: "r2r", "rxr" or "r4r".
        files: Files of the world.
        episodes: Episodes in the order of the file.
        tokenizer: Tokenizer of the instructions.
        nav_world: Graphs of the scans of the episodes.
        store: Features of the viewpoints, or None.
        max_instruction_length: Length L of encoded instructions.
    """

    dataset: Dataset
    files: WorldFiles
    episodes: list[Episode]
    tokenizer: Tokenizer
    nav_world: NavWorld
    store: "FeatureStore | None"
    max_instruction_length: int

    @cached_property
    def instr_ids(self) -> np.ndarray:
        """(E,) object array of the ids of the episodes."""
        return np.array([episode.instr_id for episode in self.episodes], dtype=object)

    @cached_property
    def instructions(self) -> np.ndarray:
        """(E,) object array of the raw instructions."""
        return np.array([episode.instruction for episode in self.episodes], dtype=object)

    def lazy_names(
        self, episodes: np.ndarray, nodes: np.ndarray
    ) -> dict[str, Callable[[], np.ndarray]]:
        """Return functions that gather the entries of an info that name episode and viewpoint.

        Args:
            episodes: (B,) index of each agent's episode; must not be changed later.
            nodes: (B,) node of each agent; must not be changed later.
        """
        return {
            "instr_id": partial(self.instr_ids.take, episodes),
            "instruction": partial(self.instructions.take, episodes),
            "scan": partial(self.nav_world.scan_names.take, nodes),
            "viewpoint": partial(self.nav_world.viewpoint_ids.take, nodes),
        }

    @cached_property
    def tokens(self) -> np.ndarray:
        """(E, L) int32 encoded instructions."""
        length = self.max_instruction_length
        return np.stack([self.tokenizer.encode(text, length) for text in self.instructions])


def load_split(
    dataset: Dataset = "r2r",
    split: str = "train",
    world: World = "houses",
    data_dir: str | Path | None = None,
    features: str | Path | None = None,
    language: str | None = None,
    tokenizer: Tokenizer | str | Path | None = None,
    max_instruction_length: int | None = None,
    exchanged_words: int | None = None,
) -> LoadedSplit:
    """Load a split of a dataset in a world.

    Args:
        dataset: "r2r", "rxr" or "r4r".
        split: "train", "val_seen", "val_unseen", ...
        world: "houses", "houses-standard" or "matterport", see `envs.worlds.world_files`.
        data_dir: Data folder of the world "matterport".
        features: Feature store; None for the store of the world, "none" for direction features
            only (D = 0).
        language: Only language to load, such as "en"; None for all.
        tokenizer: Tokenizer, or file of its vocabulary; None to build it from the training split.
        max_instruction_length: Length L of encoded instructions; None for 80 (R2R) or 160 (RxR,
            R4R).
        exchanged_words: Seed for an ablation that gives each episode the instruction of another
            path, see `envs.episodes.exchanged_words`; None for the annotated instructions.

    Raises:
        FileNotFoundError: A file of the world is missing.
        ValueError: A file is damaged, or files or arguments do not fit each other.
    """
    if max_instruction_length is not None:
        max_instruction_length = whole_number("max_instruction_length", max_instruction_length)
    if exchanged_words is not None:
        exchanged_words = whole_number("exchanged_words", exchanged_words, 0)
    files = world_files(world, data_dir)
    episodes = load_episodes(dataset, split, files, language)
    if tokenizer is None:
        known = split == "train"
        train = episodes if known else load_episodes(dataset, "train", files, language)
        tokenizer = WordTokenizer.build(episode.instruction for episode in train)
    elif isinstance(tokenizer, str | Path):
        tokenizer = load_tokenizer(tokenizer)
    scans = sorted({episode.scan for episode in episodes})
    nav_world = NavWorld.load(scans, files.connectivity_dir)
    store = files.open_features(features)
    if exchanged_words is not None:
        episodes = exchange_words(episodes, exchanged_words)
    length = max_instruction_length or MAX_INSTRUCTION_LENGTH[dataset]
    return LoadedSplit(dataset, files, episodes, tokenizer, nav_world, store, length)
