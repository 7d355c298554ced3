"""LoadedSplit: the episodes of a split with their tokenizer, graphs and features.

The ablation `shuffled` gives each episode the instruction of another path: an agent without
instructions receives inputs that it was never trained on. Exchanged instructions keep the
distribution of the language and remove only the relation between words and path, so whatever
success is left does not come from the instructions.
"""

import zlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipnav.envs.arguments import check_text, whole_number
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.episodes import Episode, base_language, load_episodes, vocabulary_dataset
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.sharing import SharedObjects, file_stamp
from clipnav.envs.tokenizers import Tokenizer, cached_tokens, cached_vocabulary, load_tokenizer
from clipnav.envs.worlds import World, WorldFiles, world_files
from clipnav.storage.errors import UserError
from clipnav.storage.features.shards import shard_paths
from clipnav.storage.features.store import FeatureStore
from clipnav.training.streams import Stream

if TYPE_CHECKING:
    from clipnav.storage.features.objects import ObjectStore
    from clipnav.storage.features.store import Arrays

_SPLITS: SharedObjects["LoadedSplit"] = SharedObjects()
_WORLDS: SharedObjects[NavWorld] = SharedObjects()
_STORES: SharedObjects[FeatureStore] = SharedObjects()
_OBJECTS: "SharedObjects[ObjectStore]" = SharedObjects()


def exchange_words(episodes: Sequence[Episode], seed: int) -> list[Episode]:
    """Give each episode the instruction of another path in the same language.

    Every instruction is used once.
    """
    exchanged = list(episodes)
    languages = np.array([base_language(episode.language) for episode in episodes])
    for language in np.unique(languages).tolist():
        receivers = np.flatnonzero(languages == language)
        paths = np.array([episodes[row].path_id for row in receivers.tolist()])
        rng = Stream.EXCHANGED_WORDS.rng(seed, zlib.crc32(language.encode()))
        try:
            givers = receivers[_permutation_across_groups(paths, rng)]
        except ValueError as error:
            raise UserError(f"instructions in language '{language}': {error}") from error
        for receiver, giver in zip(receivers.tolist(), givers.tolist(), strict=True):
            exchanged[receiver] = replace(
                episodes[receiver],
                instruction=episodes[giver].instruction,
                timed_instruction=episodes[giver].timed_instruction,
            )
    return exchanged


def _permutation_across_groups(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random permutation (N,) that maps no row to a row of the same group (N,)."""
    count = len(groups)
    if 2 * np.unique(groups, return_counts=True)[1].max() > count:
        raise UserError(
            f"more than half of the {count} instructions describe the same path, so they cannot be "
            "exchanged; use a larger split"
        )
    order = rng.permutation(count)
    while (wrong := np.flatnonzero(groups[order] == groups)).size:
        for row in wrong.tolist():
            other = rng.integers(count)
            order[[row, other]] = order[[other, row]]
    return order


@dataclass(frozen=True, eq=False)
class LoadedSplit:
    """The E episodes of a split, with everything that an environment requires to run them.

    Use `dataclasses.replace` to run other episodes in the same world. A split cannot be changed,
    because several environments share it.

    Attributes:
        dataset: Name of the dataset, such as "r2r".
        name: Name of the split: "train", "val_seen", ...
        files: Files of the world.
        episodes: Episodes in the order of the file; stored as a tuple.
        tokenizer: Tokenizer of the instructions.
        nav_world: Graphs of the scans of the episodes.
        store: Features of the viewpoints, or None.
        max_instruction_length: Length L of encoded instructions.
        objects: Objects of the viewpoints, or None.
    """

    dataset: str
    name: str
    files: WorldFiles
    episodes: Sequence[Episode]
    tokenizer: Tokenizer
    nav_world: NavWorld
    store: "FeatureStore | None"
    max_instruction_length: int
    objects: "ObjectStore | None" = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "episodes", tuple(self.episodes))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.dataset!r}, {self.name!r}, world={self.files.world!r}, "
            f"episodes={len(self.episodes)})"
        )

    @cached_property
    def instr_ids(self) -> np.ndarray:
        """(E,) object array of the ids of the episodes, read-only."""
        return _read_only(np.array([e.instr_id for e in self.episodes], dtype=object))

    @cached_property
    def instructions(self) -> np.ndarray:
        """(E,) object array of the raw instructions, read-only."""
        return _read_only(np.array([e.instruction for e in self.episodes], dtype=object))

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
        """(E, L) int32 encoded instructions, read-only."""
        length, kept = self.max_instruction_length, dataset_spec(self.dataset).kept
        return _read_only(cached_tokens(self.tokenizer, self.instructions.tolist(), length, kept))


def load_split(
    dataset: str = "r2r",
    split: str = "train",
    world: World = "houses",
    data_dir: str | Path | None = None,
    features: "str | Path | FeatureStore | Arrays | None" = None,
    language: str | None = None,
    tokenizer: Tokenizer | str | Path | None = None,
    max_instruction_length: int | None = None,
    exchanged_words: int | None = None,
    objects: "str | Path | ObjectStore | None" = None,
) -> LoadedSplit:
    """Load a split of a dataset in a world.

    Loading the same unchanged files again returns the same object as long as something, such as an
    environment, uses it.

    Args:
        dataset: "r2r", "rxr", "r4r" or another one, see `DatasetSpec`.
        split: "train", "val_seen", "val_unseen", ...
        world: "houses", "houses-standard" or "matterport", see `clipnav.envs.worlds.world_files`.
        data_dir: Data folder of the world "matterport", or folder of other episodes in the houses,
            see `clipnav.envs.worlds.world_files`.
        features: Feature store, or features in memory, see `WorldFiles.open_features`; None for
            the store of the world, "none" for direction features only (D = 0).
        language: Only language to load, such as "en"; None for all.
        tokenizer: Tokenizer, or file of its vocabulary; None to build it from the training split.
        max_instruction_length: Length L of encoded instructions; None for that of the
            dataset: 80 (R2R) or 160 (RxR, R4R).
        exchanged_words: Seed for an ablation that gives each episode the instruction of another
            path; None for the annotated instructions.
        objects: File of objects from clipnav extract-object-features, or a published HDF5 file of
            REVERIE or SOON, or an open file; None for that of the dataset and the world, see
            `WorldFiles.objects_path`; "none" for no objects.

    Raises:
        FileNotFoundError: A file of the world is missing.
        UserError: A file is damaged, or files or arguments do not fit each other.
    """
    spec = dataset_spec(dataset)
    check_text("split", split)
    if language is not None:
        check_text("language", language)
    if max_instruction_length is not None:
        max_instruction_length = whole_number("max_instruction_length", max_instruction_length)
    if exchanged_words is not None:
        exchanged_words = whole_number("exchanged_words", exchanged_words, 0)
    files = world_files(world, data_dir)
    length = max_instruction_length or spec.max_instruction_length
    request = _Request(
        dataset, split, files, features, language, tokenizer, length, exchanged_words, objects
    )
    if isinstance(features, FeatureStore | str | Path | None):
        return _SPLITS.get(request.key(), request.load)
    # Arrays may change later, so splits with arrays are not shared.
    return request.load()


@dataclass(frozen=True)
class _Request:
    """Checked arguments of `load_split`."""

    dataset: str
    split: str
    files: WorldFiles
    features: "str | Path | FeatureStore | Arrays | None"
    language: str | None
    tokenizer: Tokenizer | str | Path | None
    length: int
    exchanged_words: int | None
    objects: "str | Path | ObjectStore | None"

    def load(self) -> LoadedSplit:
        from clipnav.storage.features.objects import ObjectStore, open_objects
        from clipnav.storage.features.opening import open_store

        dataset, files, language = self.dataset, self.files, self.language
        episodes = load_episodes(dataset, self.split, files, language)
        tokenizer = self.tokenizer
        if tokenizer is None:
            source = vocabulary_dataset(dataset, files)
            known = (source, "train") == (dataset, self.split)
            train = episodes if known else load_episodes(source, "train", files, language)
            tokenizer = cached_vocabulary([episode.instruction for episode in train])
        elif isinstance(tokenizer, str | Path):
            tokenizer = load_tokenizer(tokenizer)
        names, folder = sorted({episode.scan for episode in episodes}), files.connectivity_dir
        key = (self._graphs_key(), *names)
        nav_world = _WORLDS.get(key, lambda: NavWorld.load(names, folder))
        if self.features is None or isinstance(self.features, str | Path):
            path = files.features_path(self.features)
            store = path and _STORES.get(_path_key(path), lambda: open_store(path))
        else:
            store = files.open_features(self.features, nav_world.keys)
        objects = self.objects
        if not isinstance(objects, ObjectStore):
            file = files.objects_path(dataset, objects)
            objects = file and _OBJECTS.get(_path_key(file), lambda: open_objects(file))
        if self.exchanged_words is not None:
            episodes = exchange_words(episodes, self.exchanged_words)
        return LoadedSplit(
            *(dataset, self.split, files, episodes, tokenizer, nav_world, store, self.length),
            objects=objects,
        )

    def key(self) -> Hashable:
        """Return what the loaded split depends on: arguments, and stamps of the files."""
        files = self.files
        splits = [self.split] if self.tokenizer is not None else [self.split, "train"]
        paths = [files.annotations(self.dataset, split) for split in splits]
        stamps = frozenset(map(file_stamp, paths))
        return (
            *(dataset_spec(self.dataset), self.split, files, self.language, self.length),
            *(self.exchanged_words, stamps, self._graphs_key()),
            _content_key(self.features, files.features_path),
            _content_key(self.tokenizer, lambda path: path),
            _content_key(self.objects, partial(files.objects_path, self.dataset)),
        )

    def _graphs_key(self) -> Hashable:
        graphs = self.files.connectivity_dir.glob("*_connectivity.json")
        return frozenset(map(file_stamp, graphs))


def _content_key(given: Any, find: Callable[[Any], Any]) -> Hashable:
    """Return what identifies an open object, or the content of the file of any other argument."""
    if given is not None and not isinstance(given, str | Path):
        return id(given)
    path = find(given)
    return None if path is None else _path_key(path)


def _path_key(path: str | Path) -> Hashable:
    """Return what identifies the content of a file, of a folder (LMDB) or of a store in shards."""
    path = Path(path)
    if path.is_dir():
        files = sorted(path.iterdir())
    else:
        files = [path] if path.is_file() else shard_paths(path)
    return str(path.resolve()), tuple(map(file_stamp, files))


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
