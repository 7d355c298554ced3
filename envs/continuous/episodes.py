"""Episodes of continuous navigation: positions in space instead of viewpoints."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from clipnav.envs.arguments import whole_number
from clipnav.envs.datasets import continuous_version, dataset_spec
from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.episode import TimedWord
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.tokenizers import Tokenizer, cached_tokens
from clipnav.envs.worlds import World

Point = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class ContinuousEpisode:
    """One instruction, its start and its reference path in a continuous environment.

    Positions are metres in the axes of the navigation graphs (z up), the point under the feet.

    Attributes:
        episode_id: Id in VLN-CE's files; in the houses a number from 1 (R2R-CE), or the
            instruction's (RxR-CE).
        instr_id: Id of the same instruction in the graph tasks.
        path_id: Id of the path, VLN-CE's `trajectory_id`.
        scan: Name of the building.
        start: Initial position.
        heading: Initial heading, radians clockwise from +y.
        reference_path: Positions of the reference path, from the start to the goal; empty where
            the goal is secret (the test splits).
        instruction: Raw text of the instruction.
        language: Language tag, such as "en" or "hi-IN".
        annotator_id: Id of the annotator (RxR), or None.
        edit_distance: Edit distance of the annotator's transcript (RxR), or None.
        timed_instruction: Words with their times (RxR, only if they were loaded).
    """

    episode_id: str
    instr_id: str
    path_id: int
    scan: str
    start: Point
    heading: float
    reference_path: tuple[Point, ...]
    instruction: str
    language: str
    annotator_id: int | None = None
    edit_distance: float | None = None
    timed_instruction: tuple[TimedWord, ...] = ()

    @property
    def has_goal(self) -> bool:
        """Whether the goal, the last position of the reference path, is known."""
        return bool(self.reference_path)

    @property
    def goal(self) -> Point:
        """Position of the goal; the episode must have one."""
        return self.reference_path[-1]


@dataclass(frozen=True, eq=False)
class ContinuousSplit:
    """The E episodes of a split with their tokenizer.

    A split cannot be changed, because several environments share it.

    Attributes:
        dataset: "r2r", "rxr" or another dataset with a continuous version.
        episodes: Episodes in the order of the file; stored as a tuple.
        tokenizer: Tokenizer of the instructions.
        max_instruction_length: Length L of encoded instructions.
        references: Positions (G, 3) of the expert's walk by `episode_id`, for nDTW; the walks of
            other episodes are computed when they are needed.
    """

    dataset: str
    episodes: Sequence[ContinuousEpisode]
    tokenizer: Tokenizer
    max_instruction_length: int
    references: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "episodes", tuple(self.episodes))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.dataset!r}, episodes={len(self.episodes)})"

    @cached_property
    def instr_ids(self) -> np.ndarray:
        """(E,) object array of the `instr_id` of the episodes, read-only."""
        return _objects([episode.instr_id for episode in self.episodes])

    @cached_property
    def episode_ids(self) -> np.ndarray:
        """(E,) object array of the `episode_id` of the episodes, read-only."""
        return _objects([episode.episode_id for episode in self.episodes])

    @cached_property
    def instructions(self) -> np.ndarray:
        """(E,) object array of the raw instructions, read-only."""
        return _objects([episode.instruction for episode in self.episodes])

    @cached_property
    def scans(self) -> np.ndarray:
        """(E,) object array of the buildings, read-only."""
        return _objects([episode.scan for episode in self.episodes])

    @cached_property
    def tokens(self) -> np.ndarray:
        """(E, L) int32 encoded instructions, read-only."""
        tokens = cached_tokens(
            self.tokenizer, self.instructions.tolist(), self.max_instruction_length
        )
        tokens.flags.writeable = False
        return tokens


def load_continuous_split(
    dataset: str = "r2r",
    split: str = "train",
    world: World = "houses",
    data_dir: str | Path | None = None,
    language: str | None = None,
    tokenizer: Tokenizer | str | Path | None = None,
    max_instruction_length: int | None = None,
    exchanged_words: int | None = None,
) -> ContinuousSplit:
    """Load a split of R2R or RxR in a world and turn viewpoints into positions on the floor.

    Args:
        dataset: "r2r", "rxr" or another dataset with a continuous version.
        split: "train", "val_seen", "val_unseen", ...
        world: "houses", "houses-standard" or "matterport".
        data_dir: Data folder of the world "matterport", or folder of other episodes in the houses,
            see `clipnav.envs.worlds.world_files`.
        language: Only language to load, such as "en"; None for all.
        tokenizer: Tokenizer, or file of its vocabulary; None to build it from the training split.
        max_instruction_length: Length L of encoded instructions; None for 80 (R2R) or 160 (RxR).
        exchanged_words: Seed of an ablation that exchanges instructions between paths.

    Raises:
        FileNotFoundError: A file of the world is missing.
        UserError: A file is damaged, or arguments do not fit each other.
    """
    continuous_version(dataset)
    loaded = load_split(
        dataset,
        split,
        world,
        data_dir,
        features="none",
        language=language,
        tokenizer=tokenizer,
        max_instruction_length=max_instruction_length,
        exchanged_words=exchanged_words,
    )
    episodes = continuous_episodes(dataset, loaded.episodes, loaded.files.connectivity_dir)
    return ContinuousSplit(dataset, episodes, loaded.tokenizer, loaded.max_instruction_length)


def split_of_episodes(
    dataset: str,
    episodes: Sequence[ContinuousEpisode],
    tokenizer: Tokenizer,
    max_instruction_length: int | None = None,
    references: Mapping[str, np.ndarray] | None = None,
) -> ContinuousSplit:
    """Return a split of given episodes, such as those of VLN-CE's files.

    Args:
        max_instruction_length: Length L of encoded instructions; None for 80 (R2R) or 160 (RxR).
    """
    length = dataset_spec(dataset).max_instruction_length
    if max_instruction_length is not None:
        length = whole_number("max_instruction_length", max_instruction_length)
    return ContinuousSplit(dataset, episodes, tokenizer, length, references or {})


def continuous_episodes(
    dataset: str, episodes: Sequence[Episode], connectivity_dir: Path
) -> list[ContinuousEpisode]:
    """Return episodes whose viewpoints are replaced by the points on the floor below them.

    Args:
        dataset: The dataset; in the form of R2R-CE, episode ids count from 1, in that of RxR-CE
            they are those of the instructions.
    """
    grounds: dict[str, dict[str, Point]] = {}
    for scan in {episode.scan for episode in episodes}:
        graph = NavGraph.load(scan, connectivity_dir)
        points = graph.positions.copy()
        points[:, 2] -= graph.heights
        rounded = map(tuple, points.round(9).tolist())
        grounds[scan] = dict(zip(graph.viewpoint_ids, rounded, strict=True))
    counts, found = continuous_version(dataset).form == "r2r-ce", []
    for number, episode in enumerate(episodes, 1):
        path = tuple(grounds[episode.scan][viewpoint] for viewpoint in episode.path)
        found.append(
            ContinuousEpisode(
                episode_id=str(number) if counts else episode.instr_id,
                instr_id=episode.instr_id,
                path_id=episode.path_id,
                scan=episode.scan,
                start=path[0],
                heading=episode.heading,
                reference_path=path if episode.has_goal else (),
                instruction=episode.instruction,
                language=episode.language,
                annotator_id=episode.annotator_id,
                edit_distance=episode.edit_distance,
                timed_instruction=episode.timed_instruction,
            )
        )
    return found


def _objects(values: Sequence[str]) -> np.ndarray:
    array = np.empty(len(values), dtype=object)
    array[:] = values
    array.flags.writeable = False
    return array
