"""Reading the episodes of a split, and the demonstrations of RxR's followers."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from clipnav.envs.datasets import dataset_spec
from clipnav.envs.episodes.annotations import AnnotationRecord, Id, Name, Path
from clipnav.envs.episodes.episode import Episode, base_language, path_problems
from clipnav.envs.worlds import WorldFiles
from clipnav.storage.errors import UserError
from clipnav.storage.records import RecordError, read_records


def load_episodes(
    dataset: str,
    split: str,
    files: WorldFiles,
    language: str | None = None,
    timed: bool = False,
) -> list[Episode]:
    """Read all episodes of a split and check them against the navigation graphs.

    Args:
        timed: Whether to load the times of RxR's words; RxR's training split then takes several
            gigabytes of memory.
    """
    path = files.annotations(dataset, split)
    records: Sequence[AnnotationRecord] = dataset_spec(dataset).call(
        "read", path, split, files, timed, kind=Sequence
    )
    if not records:
        raise UserError(f"{path}: the file contains no episode; {files.hint}")
    problems = path_problems(
        [record.scan for record in records],
        [record.path for record in records],
        files.connectivity_dir,
    )
    # Only test splits have secret goals; elsewhere a path of one viewpoint is a truncated record.
    secret = split.startswith("test")
    hint = files.record_hint(path)
    episodes: dict[str, Episode] = {}
    targets: dict[int, tuple[str, ...]] = {}
    for number, record in enumerate(records):
        try:
            if number in problems:
                raise UserError(problems[number])
            added = _add_episodes(record, secret, episodes)
        except ValueError as error:
            raise RecordError(path, number, str(error), hint, record.name) from error
        if added.target is not None:
            targets[number] = (*record.path[:1], *added.target.viewpoints)
    own = list(targets)
    scans = [records[number].scan for number in own]
    of_goals = path_problems(scans, list(targets.values()), files.connectivity_dir, field="goal")
    for row in sorted(of_goals)[:1]:
        number = own[row]
        raise RecordError(path, number, of_goals[row], hint, records[number].name)
    kept = [
        episode
        for episode in episodes.values()
        if language in (None, episode.language, base_language(episode.language))
    ]
    if not kept:
        languages = ", ".join(sorted({episode.language for episode in episodes.values()}))
        raise UserError(
            f"{path}: no instruction in language '{language}', only {languages}; use one of these "
            "languages, or leave the language out to load all"
        )
    return kept


def load_splits(
    dataset: str,
    splits: Sequence[str],
    files: WorldFiles,
    language: str | None = None,
    *,
    hint: str,
) -> dict[str, list[Episode]]:
    """Read the episodes of several splits, which must have different ids.

    Args:
        remedy: What to do about an id of two splits; the end of the message. Ids of R4R, for
            example, start again in each split.
    """
    by_split: dict[str, list[Episode]] = {}
    split_of: dict[str, str] = {}
    for split in splits:
        by_split[split] = load_episodes(dataset, split, files, language)
        for episode in by_split[split]:
            other = split_of.setdefault(episode.instr_id, split)
            if other != split:
                raise UserError(
                    f"instruction {episode.instr_id} is in both {other} and {split}; {hint}"
                )
    return by_split


def vocabulary_dataset(dataset: str, files: WorldFiles) -> str:
    """Return the dataset whose training split defines the vocabulary of a dataset.

    It is R2R for the R4R of the built-in houses, which repeats the words of R2R many times.
    """
    source = dataset_spec(dataset).house_source
    return source if source is not None and files.is_built_in else dataset


def _add_episodes(record: AnnotationRecord, secret: bool, episodes: dict[str, Episode]) -> Episode:
    """Add the episodes of a record, which have one goal, to those of the split; return the last."""
    episode = None
    for episode in record.episodes():
        if not episode.has_goal and not secret:
            raise UserError(
                "field 'path' contains only the start, which is allowed in test splits only"
            )
        if episode.instr_id in episodes:
            raise UserError(f"episode {episode.instr_id} occurs twice")
        episodes[episode.instr_id] = episode
    assert episode is not None
    return episode


@dataclass(frozen=True, slots=True)
class DemonstrationMetrics:
    """Metrics of a follower's path against the guide's path, as published with RxR.

    Attributes:
        ne: Navigation error in metres.
        sr: Success, 0 or 1.
        spl: Success weighted by path length.
        dtw: Dynamic time warping distance in metres.
        ndtw: Normalised dynamic time warping, 0..1.
        sdtw: `ndtw` times success.
    """

    ne: float
    sr: float
    spl: float
    dtw: float
    ndtw: float
    sdtw: float


@dataclass(frozen=True, slots=True)
class Demonstration:
    """Path of a person who followed an instruction of RxR.

    Attributes:
        demonstration_id: Id of the demonstration and of its pose trace.
        instruction_id: Id of the instruction.
        annotator_id: Id of the follower.
        path: Viewpoints of the path.
        metrics: Metrics of the path.
    """

    demonstration_id: Id
    instruction_id: Id
    annotator_id: int
    path: Path
    metrics: DemonstrationMetrics

    @property
    def instr_id(self) -> str:
        """`Episode.instr_id` of the instruction."""
        return str(self.instruction_id)


class _Instruction(msgspec.Struct, frozen=True, gc=False):
    instruction_id: Id
    scan: Name


def load_demonstrations(split: str, files: WorldFiles) -> list[Demonstration]:
    """Read the follower file of an RxR split, checked against guide file and graphs."""
    path = files.followers(split)
    hint = files.record_hint(path)
    demonstrations = read_records(path, Demonstration, hint)
    guides = read_records(files.annotations("rxr", split), _Instruction, hint)
    scan_of = {guide.instruction_id: guide.scan for guide in guides}
    scans, seen = [], set()
    for number, walk in enumerate(demonstrations):
        name = f"demonstration_id {walk.demonstration_id}"
        if walk.demonstration_id in seen:
            raise RecordError(path, number, "occurs twice", hint, name)
        seen.add(walk.demonstration_id)
        if walk.instruction_id not in scan_of:
            problem = f"field 'instruction_id': {walk.instruction_id} is not in the guide file"
            raise RecordError(path, number, problem, hint, name)
        scans.append(scan_of[walk.instruction_id])
    paths = [walk.path for walk in demonstrations]
    problems = path_problems(scans, paths, files.connectivity_dir)
    for number in sorted(problems)[:1]:
        name = f"demonstration_id {demonstrations[number].demonstration_id}"
        raise RecordError(path, number, problems[number], hint, name)
    return demonstrations
