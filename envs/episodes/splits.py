"""What an environment loads: the episodes of a split, their words, graphs and features."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from envs.episodes import Episode, load_episodes
from envs.graphs.nav_world import NavWorld
from envs.tokenizers import Tokenizer, WordTokenizer, load_tokenizer
from envs.worlds import Dataset, World, WorldFiles, world_files

if TYPE_CHECKING:
    from storage.features.store import FeatureStore


@dataclass(frozen=True)
class LoadedSplit:
    """The E episodes of a split, and all that is needed to play them.

    Attributes:
        files: Of the world.
        episodes: In the order of the file.
        tokenizer: Turns instructions into numbers.
        nav_world: Graphs of the scans of the episodes.
        store: Features of their viewpoints, or None.
    """

    files: WorldFiles
    episodes: list[Episode]
    tokenizer: Tokenizer
    nav_world: NavWorld
    store: "FeatureStore | None"

    @cached_property
    def instr_ids(self) -> np.ndarray:
        """(E,) object array of names."""
        return np.array([episode.instr_id for episode in self.episodes], dtype=object)

    @cached_property
    def instructions(self) -> np.ndarray:
        """(E,) object array of raw texts."""
        return np.array([episode.instruction for episode in self.episodes], dtype=object)

    def promised_names(
        self, episodes: np.ndarray, nodes: np.ndarray
    ) -> dict[str, Callable[[], np.ndarray]]:
        """Functions that gather, one each, what an info calls the agents' whereabouts.

        Args:
            episodes: (B,) number of each agent's episode; must not change any more.
            nodes: (B,) where each agent stands; must not change any more.
        """
        return {
            "instr_id": partial(self.instr_ids.take, episodes),
            "instruction": partial(self.instructions.take, episodes),
            "scan": partial(self.nav_world.scan_names.take, nodes),
            "viewpoint": partial(self.nav_world.viewpoint_ids.take, nodes),
        }

    def tokens(self, length: int) -> np.ndarray:
        """(E, length) int32 encoded instructions."""
        return np.stack([self.tokenizer.encode(text, length) for text in self.instructions])


def load_split(
    dataset: Dataset,
    split: str,
    world: World = "houses",
    data_dir: str | Path | None = None,
    features: str | Path | None = None,
    language: str | None = None,
    tokenizer: Tokenizer | str | Path | None = None,
) -> LoadedSplit:
    """Load a split of a dataset in a world; arguments and errors as of `VlnVectorEnv`."""
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
    return LoadedSplit(files, episodes, tokenizer, nav_world, files.open_features(features))
