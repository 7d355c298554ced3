"""Loading the episodes of a split."""

from envs.episodes.annotations import GuideRecord, PathRecord, TimedGuideRecord
from envs.episodes.episode import Episode, base_language
from envs.episodes.paths import path_problems
from envs.worlds import Dataset, WorldFiles
from storage.records import RecordError, read_records

_LANGUAGES = "name one of these, or none for all"
_ONE_LANGUAGE = "leave the language out, or take RxR (dataset rxr), which has several"


def load_episodes(
    dataset: Dataset,
    split: str,
    files: WorldFiles,
    language: str | None = None,
    timed: bool = False,
) -> list[Episode]:
    """Read all episodes of a split and check them against the navigation graphs.

    Args:
        dataset: "r2r", "rxr" or "r4r".
        split: "train", "val_seen", "val_unseen", ...
        files: The world.
        language: Keep one language: "hi" keeps "hi-IN".
        timed: Also keep when each word of RxR was spoken; RxR's training split then takes some
            gigabytes of memory.

    Raises:
        FileNotFoundError: No such split.
        ValueError: A record is damaged or does not fit the graphs; the message names the file, the
            record, the field and the remedy. Also if no episode is left.
    """
    path = files.annotations(dataset, split)
    if dataset == "rxr":
        kind = TimedGuideRecord if timed else GuideRecord
    else:
        kind = PathRecord
    records = read_records(path, kind, files.remedy)
    if not records:
        raise ValueError(f"{path}: no episode; {files.remedy}")
    problems = path_problems(
        [record.scan for record in records],
        [record.path for record in records],
        files.connectivity_dir,
    )
    # Only test splits keep goals secret; elsewhere a path without one is a record cut short.
    secret = split.startswith("test")
    episodes: dict[str, Episode] = {}
    for number, record in enumerate(records):
        try:
            if number in problems:
                raise ValueError(problems[number])
            if len(record.path) == 1 and not secret:
                raise ValueError("field 'path' holds the start only, which is for test splits")
            for episode in record.episodes():
                if episode.instr_id in episodes:
                    raise ValueError(f"episode {episode.instr_id} occurs twice")
                episodes[episode.instr_id] = episode
        except ValueError as error:
            raise RecordError(path, number, str(error), files.remedy, record.name) from error
    kept = [e for e in episodes.values() if language is None or _speaks(e.language, language)]
    if not kept:
        spoken = ", ".join(sorted({episode.language for episode in episodes.values()}))
        remedy = _LANGUAGES if dataset == "rxr" else _ONE_LANGUAGE
        raise ValueError(
            f"{path}: no instruction in language '{language}', only {spoken}; {remedy}"
        )
    return kept


def _speaks(tag: str, language: str) -> bool:
    return tag == language or base_language(tag) == language
