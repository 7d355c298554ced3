"""Scoring submission files: means, intervals, languages, and differences between files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro

from envs.episodes import Episode, base_language, load_episodes
from envs.episodes.paths import without_turns
from envs.graphs.nav_graph import NavGraph
from envs.metrics import (
    SUCCESS_THRESHOLD,
    Interval,
    bootstrap_intervals,
    score_paths,
    summarise,
    summarise_groups,
)
from envs.metrics.summaries import columns_named
from envs.submissions.checks import SubmissionCheck, check_submission, read_submission
from envs.worlds import Dataset, World, named_world, world_files
from training.settings import check_counts


@dataclass(frozen=True)
class ScoringRules:
    """What is scored, and how."""

    dataset: Dataset = "r2r"
    """Data set whose instructions were followed."""
    split: tyro.conf.UseAppendAction[tuple[str, ...]] = ()
    """Split that the files walk; name several by giving this several times. val_unseen if none."""
    world: World | None = None
    """World of the graphs and annotations; matterport if a data folder is named, else houses."""
    data_dir: Path | None = None
    """Folder of the data of world matterport."""
    language: str | None = None
    """Count one language only, such as en or en-IN."""
    instructions_per_path: int | None = None
    """Count the first so many instructions of each path only, of those in the language: 3 as
    Matterport3DSimulator's eval.py, which passes over the one path of val_seen that has 4."""
    missing: Literal["leave-out", "stand-still"] = "leave-out"
    """Means leave out instructions without a path that counts, or count the start for them."""
    turns: Literal["keep", "drop"] = "keep"
    """Whether a viewpoint that follows itself, as where EnvDrop turns, counts again in nDTW, sDTW
    and steps."""
    threshold: float = SUCCESS_THRESHOLD
    """Success radius in metres; also the scale of nDTW and CLS."""
    confidence: float = 0.95
    """Of the intervals."""
    resamples: int = 10_000
    """Bootstrap resamples of the paths."""
    seed: int = 0
    """Of the bootstrap."""

    def __post_init__(self) -> None:
        check_counts(self, ("instructions_per_path",))

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits to score."""
        return self.split or ("val_unseen",)


@dataclass(frozen=True, eq=False)
class Ground:
    """What submissions are scored against.

    Attributes:
        episodes: All instructions of the splits.
        split_of: By instr_id.
        graphs: By scan.
        counted: Ids that the rules count.
    """

    episodes: list[Episode]
    split_of: dict[str, str]
    graphs: dict[str, NavGraph]
    counted: set[str]


@dataclass(frozen=True, eq=False)
class ScoredSubmission:
    """A submission file and the metrics of its paths.

    Attributes:
        checked: The file and what was found in it.
        episodes: The instructions that were scored, in the order of the split.
        split_of: Split of each of them.
        scores: Columns of `score_paths`, and `steps` (entries after the first) and `moves` (of them
            those to another viewpoint); empty if nothing could be scored.
        straight: The same with turns dropped, where the file has turns; else empty.
    """

    checked: SubmissionCheck
    episodes: list[Episode]
    split_of: list[str]
    scores: dict[str, np.ndarray]
    straight: dict[str, np.ndarray]

    @property
    def metrics(self) -> dict[str, np.ndarray]:
        """The columns that reports show, by short name."""
        return _shown(self.scores)

    def intervals(self, rules: ScoringRules) -> dict[str, Interval]:
        """Mean and interval of each metric, by short name."""
        return _bootstrap(self.metrics, self.episodes, rules)

    def by_language(self) -> dict[str, dict[str, float]]:
        """Summaries by language, without its country."""
        return summarise_groups(self.scores, [base_language(e.language) for e in self.episodes])

    def by_split(self) -> dict[str, dict[str, float]]:
        """Summaries by split."""
        return summarise_groups(self.scores, self.split_of)


def load_ground(rules: ScoringRules) -> Ground:
    """Load the splits and the graphs that submissions are scored against.

    Raises:
        FileNotFoundError: There is no such split, or no data folder.
        ValueError: The data is damaged, the splits share an instruction, or nothing is left to
            count.
    """
    files = world_files(named_world(rules.world, rules.data_dir), rules.data_dir)
    split_of: dict[str, str] = {}
    episodes: list[Episode] = []
    for split in dict.fromkeys(rules.splits):
        for episode in load_episodes(rules.dataset, split, files):
            other = split_of.setdefault(episode.instr_id, split)
            if other != split:
                raise ValueError(
                    f"instruction {episode.instr_id} is in {other} and in {split}; score the "
                    "splits one by one"
                )
            episodes.append(episode)
    counted = _counted(episodes, rules)
    if not counted:
        raise ValueError(f"no instruction in language '{rules.language}' to count")
    scans = sorted({episode.scan for episode in episodes})
    graphs = {scan: NavGraph.load(scan, files.connectivity_dir) for scan in scans}
    return Ground(episodes, split_of, graphs, counted)


def score_submission(path: Path, ground: Ground, rules: ScoringRules) -> ScoredSubmission:
    """Read, check and score a file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no JSON; names the record.
    """
    records = read_submission(path)
    checked = check_submission(path, records, ground.episodes, ground.graphs, ground.counted)
    walked = checked.trajectories
    still = rules.missing == "stand-still"
    episodes = [
        e
        for e in ground.episodes
        if e.has_goal and (e.instr_id in walked or (still and e.instr_id in ground.counted))
    ]
    written = [walked.get(e.instr_id, e.path[:1]) for e in episodes]
    plain = [without_turns(path) for path in written]
    graphs = [ground.graphs[e.scan] for e in episodes]
    straight = _scores(graphs, plain, plain, episodes, rules.threshold)
    has_turns = written != plain
    scores = straight
    if has_turns and rules.turns == "keep":
        scores = _scores(graphs, written, plain, episodes, rules.threshold)
    return ScoredSubmission(
        checked,
        episodes,
        [ground.split_of[e.instr_id] for e in episodes],
        scores,
        straight if has_turns else {},
    )


def differences(
    first: ScoredSubmission, second: ScoredSubmission, rules: ScoringRules
) -> tuple[int, dict[str, Interval]]:
    """How much higher the second file scores on the instructions that both were scored on.

    Returns:
        How many these are, and the mean difference with its paired interval by metric; empty if
        there is none.
    """
    rows = {e.instr_id: row for row, e in enumerate(first.episodes)}
    shared = [row for row, e in enumerate(second.episodes) if e.instr_id in rows]
    if not shared:
        return 0, {}
    episodes = [second.episodes[row] for row in shared]
    others = [rows[e.instr_id] for e in episodes]
    before, after = first.metrics, second.metrics
    gains = {name: after[name][shared] - before[name][others] for name in after}
    return len(shared), _bootstrap(gains, episodes, rules)


def results(scored: Sequence[ScoredSubmission], rules: ScoringRules) -> dict[str, Any]:
    """Everything about some files that were scored by the same rules, for JSON."""
    first, *others = scored
    pairs = [(other, *differences(first, other, rules)) for other in others]
    return {
        "dataset": rules.dataset,
        "splits": list(rules.splits),
        "language": rules.language,
        "missing": rules.missing,
        "turns": rules.turns,
        "threshold_m": rules.threshold,
        "confidence": rules.confidence,
        "resamples": rules.resamples,
        "seed": rules.seed,
        "submissions": [_file_results(one, rules) for one in scored],
        "differences": [
            {
                "first": str(first.checked.path),
                "second": str(other.checked.path),
                "instructions": count,
                "metrics": {name: interval._asdict() for name, interval in gains.items()},
            }
            for other, count, gains in pairs
        ],
    }


def _file_results(scored: ScoredSubmission, rules: ScoringRules) -> dict[str, Any]:
    checked = scored.checked
    outcome: dict[str, Any] = {
        "file": str(checked.path),
        "records": checked.records,
        "instructions": checked.expected,
        "usable": len(checked.trajectories),
        "scored": len(scored.episodes),
        "faulty": checked.faulty,
        "findings": [
            {"what": f.what, "fault": f.fault, "count": len(f.places), "places": f.places}
            for f in checked.findings
        ],
    }
    if not scored.scores:
        return outcome
    steps = {name: float(scored.scores[name].mean()) for name in ("steps", "moves")}
    outcome["summary"] = summarise(scored.scores) | steps
    outcome["intervals"] = {
        name: interval._asdict() for name, interval in scored.intervals(rules).items()
    }
    outcome["by_language"] = scored.by_language()
    outcome["by_split"] = scored.by_split()
    if scored.straight:
        outcome["without_turns"] = summarise(scored.straight)
    return outcome


def _counted(episodes: Sequence[Episode], rules: ScoringRules) -> set[str]:
    """Ids that the language and the number of instructions per path leave."""

    def is_counted(episode: Episode) -> bool:
        return rules.language in (None, episode.language, base_language(episode.language))

    of_path: dict[tuple[str, int], list[Episode]] = {}
    for episode in episodes:
        of_path.setdefault((episode.scan, episode.path_id), []).append(episode)
    return {
        episode.instr_id
        for group in of_path.values()
        for episode in islice(filter(is_counted, group), rules.instructions_per_path)
    }


def _scores(
    graphs: Sequence[NavGraph],
    written: Sequence[Sequence[str]],
    plain: Sequence[Sequence[str]],
    episodes: Sequence[Episode],
    threshold: float,
) -> dict[str, np.ndarray]:
    """Columns of scores, of steps as written and of moves without turns; empty for no path."""
    if not episodes:
        return {}
    return {
        **score_paths(graphs, written, [e.path for e in episodes], threshold),
        "steps": np.array([len(path) - 1.0 for path in written]),
        "moves": np.array([len(path) - 1.0 for path in plain]),
    }


def _shown(scores: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    if not scores:
        return {}
    return {**columns_named(scores), "steps": scores["steps"], "moves": scores["moves"]}


def _bootstrap(
    columns: Mapping[str, np.ndarray], episodes: Sequence[Episode], rules: ScoringRules
) -> dict[str, Interval]:
    return bootstrap_intervals(
        columns,
        rules.seed,
        clusters=[(e.scan, e.path_id) for e in episodes],
        confidence=rules.confidence,
        resamples=rules.resamples,
    )
