"""Scores of submission files with intervals, and the text report on them."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from string import ascii_uppercase
from typing import Any, Protocol, TypeVar

import numpy as np

from clipnav.envs.episodes import Episode, base_language
from clipnav.envs.episodes.chains import chain_ends, moved
from clipnav.envs.episodes.episode import without_turns
from clipnav.envs.goals.scores import dataset_scores, score_episodes
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import (
    Interval,
    Metric,
    aligned,
    bootstrap_intervals,
    mean_metrics,
    metrics,
    paired_gains,
    summarise,
    summarise_groups,
)
from clipnav.envs.metrics.summaries import columns_named
from clipnav.envs.metrics.table import by_name
from clipnav.envs.submissions.checks import (
    FileCheck,
    SubmissionCheck,
    check_submission,
    read_submission,
)
from clipnav.envs.submissions.ground_truth import (
    DEFAULT_RULES,
    GroundTruth,
    ScoringRules,
    check_on_graphs,
    load_ground_truth,
)
from clipnav.envs.worlds import named_world
from clipnav.storage import write_text
from clipnav.storage.errors import pluralise

# Rows of the metric table after those of the metrics.
_COUNTS = by_name(*(Metric(name, name, 1, "", better="") for name in ("steps", "moves")))


class ScoredEpisode(Protocol):
    """What a report needs to know of an episode."""

    @property
    def scan(self) -> str:
        """Name of its building."""
        ...

    @property
    def path_id(self) -> int:
        """Number of its path."""
        ...


class ScoredFile(Protocol):
    """Submission file with the metrics of its instructions."""

    @property
    def checked(self) -> FileCheck:
        """Result of the checks of the file."""
        ...

    @property
    def episodes(self) -> Sequence[ScoredEpisode]:
        """The B scored episodes."""
        ...

    @property
    def metrics(self) -> Mapping[str, np.ndarray]:
        """Columns (B,) by short name; empty if nothing can be scored."""
        ...

    @property
    def instructions(self) -> Sequence[str]:
        """Identifiers of the B scored instructions."""
        ...

    def intervals(self, rules: ScoringRules) -> dict[str, Interval]:
        """Return the mean and interval of each metric by short name."""
        ...

    def results(self, rules: ScoringRules) -> dict[str, Any]:
        """Return summary, intervals and groups for JSON; empty if nothing can be scored."""
        ...


Scored = TypeVar("Scored", bound=ScoredFile)


def differences(
    first: ScoredFile, second: ScoredFile, rules: ScoringRules
) -> tuple[int, dict[str, Interval]]:
    """Return mean paired differences, second minus first, over common instructions."""
    rows = {name: row for row, name in enumerate(first.instructions)}
    shared = [row for row, name in enumerate(second.instructions) if name in rows]
    if not shared:
        return 0, {}
    others = [rows[second.instructions[row]] for row in shared]
    before, after = first.metrics, second.metrics
    gains = {name: paired_gains(before[name][others], after[name][shared]) for name in after}
    return len(shared), scene_intervals(gains, [second.episodes[row] for row in shared], rules)


def scene_intervals(
    columns: Mapping[str, np.ndarray], episodes: Sequence[ScoredEpisode], rules: ScoringRules
) -> dict[str, Interval]:
    """Return the means and intervals of columns (B,), by resampling buildings.

    Values that are not finite, such as the distance to a goal that cannot be reached, are left out.
    """
    clusters = [episode.scan for episode in episodes]
    by_rows: dict[bytes, list[str]] = {}
    for name, column in columns.items():
        by_rows.setdefault(np.isfinite(column).tobytes(), []).append(name)
    intervals: dict[str, Interval] = {}
    for mask, names in by_rows.items():
        rows = np.flatnonzero(np.frombuffer(mask, bool))
        if not rows.size:
            intervals |= {name: Interval(*(float("nan"),) * 3) for name in names}
            continue
        intervals |= bootstrap_intervals(
            {name: columns[name][rows] for name in names},
            rules.seed,
            clusters=[clusters[row] for row in rows],
            confidence=rules.confidence,
            resamples=rules.resamples,
        )
    return {name: intervals[name] for name in columns}


def results(
    scored: Sequence[ScoredFile], rules: ScoringRules, own_rules: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the results of files that were scored by the same rules, for JSON."""
    first, *others = scored
    pairs = [(other, *differences(first, other, rules)) for other in others]
    return {
        "dataset": rules.dataset,
        "world": named_world(rules.world, rules.data_dir),
        "data_dir": None if rules.data_dir is None else str(rules.data_dir),
        "splits": list(rules.splits),
        "instruction_language": rules.instruction_language,
        "instructions_per_path": rules.instructions_per_path,
        "missing": rules.missing,
        **own_rules,
        "threshold_m": rules.threshold,
        "confidence": rules.confidence,
        "resamples": rules.resamples,
        "seed": rules.seed,
        "submissions": [
            {
                "file": str(file.checked.path),
                "records": file.checked.records,
                "instructions": file.checked.expected,
                "usable": file.checked.usable,
                "scored": len(file.instructions),
                "faulty": file.checked.faulty,
                "findings": [
                    {"what": f.kind, "fault": f.fault, "count": len(f.cases), "places": f.cases}
                    for f in file.checked.findings
                ],
                **file.results(rules),
            }
            for file in scored
        ],
        "differences": [
            {
                "first": str(first.checked.path),
                "second": str(other.checked.path),
                "instructions": count,
                "metrics": {name: interval.to_json() for name, interval in gains.items()},
            }
            for other, count, gains in pairs
        ],
    }


def evaluate_files(
    files: Sequence[Path],
    score: Callable[[Path], Scored],
    report: Callable[[Sequence[Scored]], str],
    results: Callable[[Sequence[Scored]], dict[str, Any]],
    json_path: Path | None = None,
) -> int:
    """Score submission files, print the report and optionally write the results as JSON."""
    scored = [score(path) for path in files]
    print(report(scored))
    if json_path is not None:
        write_text(json_path, json.dumps(results(scored), indent=1, allow_nan=False))
    return int(any(file.checked.faulty for file in scored))


@dataclass(frozen=True, eq=False)
class ScoredSubmission:
    """Submission file with the metrics of its paths.

    Attributes:
        checked: Result of the checks of the file.
        episodes: Scored episodes, in the order of the split.
        split_of: Split of each scored episode.
        scores: Columns of `score_paths`, `steps` (number of entries after the first) and `moves`
            (number of steps to another viewpoint); empty if nothing can be scored.
        scores_without_turns: The same columns with turns dropped; empty if the file has no turns.
        own_metrics: Columns of the dataset alone, by short name.
        version: Version of the annotations; "" if there is one only.
    """

    checked: SubmissionCheck
    episodes: list[Episode]
    split_of: list[str]
    scores: dict[str, np.ndarray]
    scores_without_turns: dict[str, np.ndarray]
    own_metrics: Mapping[str, Metric] = field(default_factory=dict)
    version: str = ""

    @property
    def metrics(self) -> dict[str, np.ndarray]:
        """Columns of the report by short name."""
        if not self.scores:
            return {}
        own = {name: self.scores[name] for name in ("steps", "moves")}
        named = {short: self.scores[metric.column] for short, metric in self.own_metrics.items()}
        return {**columns_named(self.scores), **named, **own}

    @property
    def summary(self) -> dict[str, float]:
        """Means by short name and number of `episodes`; empty if nothing can be scored."""
        if not self.scores:
            return {}
        return summarise(self.scores) | {n: float(c.mean()) for n, c in self.metrics.items()}

    @property
    def instructions(self) -> list[str]:
        """`instr_id` of the scored episodes."""
        return [episode.instr_id for episode in self.episodes]

    def intervals(self, rules: ScoringRules) -> dict[str, Interval]:
        """Return mean and interval of each metric by short name."""
        return scene_intervals(self.metrics, self.episodes, rules)

    def results(self, rules: ScoringRules) -> dict[str, Any]:
        """Return summary, intervals and groups for JSON; empty if nothing can be scored."""
        if not self.scores:
            return {}
        intervals = self.intervals(rules).items()
        outcome: dict[str, Any] = {
            **({"version": self.version} if self.version else {}),
            "summary": self.summary,
            "intervals": {name: interval.to_json() for name, interval in intervals},
            "by_language": self.by_language(),
            "by_split": self.by_split(),
        }
        if self.scores_without_turns:
            outcome["without_turns"] = summarise(self.scores_without_turns)
        return outcome

    def by_language(self) -> dict[str, dict[str, float]]:
        """Return the summaries by language without the country."""
        return summarise_groups(self.scores, [base_language(e.language) for e in self.episodes])

    def by_split(self) -> dict[str, dict[str, float]]:
        """Return the summaries by split."""
        return summarise_groups(self.scores, self.split_of)


def score_submission(
    path: str | Path,
    rules: ScoringRules = DEFAULT_RULES,
    ground_truth: GroundTruth | None = None,
) -> ScoredSubmission:
    """Read, check and score a submission file.

    Args:
        path: File in the format of R2R's or RxR's test server.
        rules: Instructions to score and definitions of the metrics; by default all instructions of
            R2R's val_unseen in the built-in houses.
        ground_truth: Result of `load_ground_truth` with the same rules, to score several files
            without loading the data again; loaded here by default.

    Raises:
        FileNotFoundError: The file or the data does not exist.
        UserError: The file is not JSON, and the message names the record; the data is damaged; or
            the rules are for walks in continuous environments.
    """
    check_on_graphs(rules)
    path = Path(path)
    records = read_submission(path)
    ground_truth = load_ground_truth(rules) if ground_truth is None else ground_truth
    own = dataset_scores(rules.dataset)
    checked = check_submission(
        path,
        records,
        ground_truth.episodes,
        ground_truth.graphs,
        ground_truth.counted,
        own and own.aliases(ground_truth.episodes),
        own and own.answer,
    )
    walked = checked.trajectories
    scores_missing = rules.missing == "stand-still"
    ends = chain_ends(ground_truth.episodes, walked)
    episodes = [
        e
        for e in moved(ground_truth.episodes, ground_truth.graphs, ends)
        if e.has_goal
        and (e.instr_id in walked or (scores_missing and e.instr_id in ground_truth.counted))
    ]
    written = [walked.get(e.instr_id, e.path[:1]) for e in episodes]
    plain = [without_turns(path) for path in written]
    graphs = [ground_truth.graphs[e.scan] for e in episodes]
    score = partial(_scores, rules, checked.answers, graphs, episodes)
    scores_without_turns = score(plain, plain)
    has_turns = written != plain
    scores = scores_without_turns
    if has_turns and rules.turns == "keep":
        scores = score(written, plain)
    return ScoredSubmission(
        checked,
        episodes,
        [ground_truth.split_of[e.instr_id] for e in episodes],
        scores,
        scores_without_turns if has_turns else {},
        {} if own is None else own.metrics,
        ground_truth.version,
    )


def submission_results(scored: Sequence[ScoredSubmission], rules: ScoringRules) -> dict[str, Any]:
    """Return the results of files that were scored by the same rules, for JSON."""
    definition = {"definition": rules.chosen_definition} if rules.definitions else {}
    return results(scored, rules, {"turns": rules.turns, **definition})


def _scores(
    rules: ScoringRules,
    answers: Mapping[str, Any],
    graphs: Sequence[NavGraph],
    episodes: Sequence[Episode],
    written: Sequence[Sequence[str]],
    plain: Sequence[Sequence[str]],
) -> dict[str, np.ndarray]:
    """Return the columns of metrics, steps and moves; empty if there is no path."""
    if not episodes:
        return {}
    definition = rules.chosen_definition
    return {
        **score_episodes(
            *(rules.dataset, graphs, episodes, written, rules.threshold, definition, answers)
        ),
        "steps": np.array([len(path) - 1.0 for path in written]),
        "moves": np.array([len(path) - 1.0 for path in plain]),
    }


def evaluate_submissions(
    files: Sequence[Path], rules: ScoringRules, json_path: Path | None = None
) -> int:
    """Score submission files, print the report and optionally write the results as JSON."""
    ground_truth = load_ground_truth(rules)
    return evaluate_files(
        files,
        lambda path: score_submission(path, rules, ground_truth),
        lambda submissions: report(submissions, rules),
        lambda submissions: submission_results(submissions, rules),
        json_path,
    )


def report(submissions: Sequence[ScoredSubmission], rules: ScoringRules) -> str:
    """Return the report on submissions that were scored by the same rules."""
    named = {file_letter(number): submission for number, submission in enumerate(submissions)}
    parts = [_file_report(name, submission, rules) for name, submission in named.items()]
    scored = {name: submission for name, submission in named.items() if submission.scores}
    if scored:
        own = next(iter(scored.values())).own_metrics
        if rules.definitions:
            parts.append(f"scores by the definition {rules.chosen_definition!r}, see docs/goals.md")
        parts.append(metric_table(scored, {**mean_metrics(), **own, **_COUNTS}, rules))
        parts += group_table("language", {n: s.by_language() for n, s in scored.items()})
        parts += group_table("split", {n: s.by_split() for n, s in scored.items()})
    return "\n\n".join(parts)


def file_letter(number: int) -> str:
    """Return the name of a file in a report: A, B, ..."""
    return ascii_uppercase[number] if number < len(ascii_uppercase) else f"file {number + 1}"


def _file_report(name: str, scored: ScoredSubmission, rules: ScoringRules) -> str:
    lines = check_lines(name, scored.checked, scored.episodes, rules, scored.version)
    if scored.episodes and scored.checked.usable < scored.checked.expected:
        lines.append(missing_line(scored.checked, "path", rules))
    if scored.scores_without_turns and rules.turns == "keep":
        values = {n: 100 * scored.scores_without_turns[n].mean() for n in ("ndtw", "sdtw")}
        lines.append(
            f"  without turns (--turns drop): nDTW {values['ndtw']:.2f} %, "
            f"sDTW {values['sdtw']:.2f} %"
        )
    return "\n".join(lines)


def check_lines(
    name: str,
    checked: FileCheck,
    episodes: Sequence[ScoredEpisode],
    rules: ScoringRules,
    version: str = "",
) -> list[str]:
    """Return the lines of a report on the checks of a file."""
    expected = pluralise(checked.expected, "instruction")
    dataset = f"{rules.dataset} {version}".rstrip()
    lines = [
        f"{name} = {checked.path}: {pluralise(checked.records, 'record')}, {checked.usable} of "
        f"{expected} of {dataset} {' + '.join(rules.splits)} usable"
    ]
    for finding in checked.findings:
        lines.append(f"  {'FAULT' if finding.fault else 'note'}: {finding}")
    paths = len({(e.scan, e.path_id) for e in episodes})
    lines.append(
        f"  scored: {pluralise(len(episodes), 'instruction')} of {pluralise(paths, 'path')}"
    )
    if not episodes and checked.usable:
        lines.append("  the goals of this split are secret: only the format was checked")
    if checked.records and not checked.usable:
        lines.append("  no record is usable: check --dataset, --splits, and --world or --data-dir")
    return lines


def missing_line(checked: FileCheck, kind: str, rules: ScoringRules) -> str:
    """Return the line on instructions without a usable record."""
    rest = pluralise(checked.expected - checked.usable, "instruction")
    if rules.missing == "stand-still":
        return f"  scored as a {kind} of only the start: {rest} without a usable {kind}"
    return (
        f"  the means leave out {rest} without a usable {kind}, so they are "
        "not comparable with published means (--missing stand-still scores the start instead)"
    )


def metric_table(
    scored: Mapping[str, ScoredFile], metrics: Mapping[str, Metric], rules: ScoringRules
) -> str:
    """Return a table of metrics with intervals by file, and of differences from the first file."""
    (first_name, first), *others = scored.items()
    columns = {name: file.intervals(rules) for name, file in scored.items()}
    gains = {
        f"{name} - {first_name}": differences(first, other, rules)[1] for name, other in others
    }
    rows = [["metric", *columns, *gains]]
    for short, metric in metrics.items():
        values = [_interval(column[short], metric.factor, "") for column in columns.values()]
        pairs = [_gain(column, short, metric.factor) for column in gains.values()]
        rows.append([f"{short} {metric.unit}".rstrip(), *values, *pairs])
    note = (
        f"means with {100 * rules.confidence:g} % intervals ({rules.resamples} resamples of the "
        f"buildings, seed {rules.seed}; none for a single building)"
    )
    if gains:
        note += (
            "; differences over the instructions scored in both files, * if 0 is outside; intervals"
            " do not cover other seeds of the same trainings (clipnav compare-agents does)"
        )
    return f"{aligned(rows)}\n{note}"


def _interval(interval: Interval, factor: float, sign: str) -> str:
    mean, low, high = (format(factor * value, f"{sign}.2f") for value in interval)
    return mean if math.isnan(interval.low) else f"{mean} [{low}, {high}]"


def _gain(gains: Mapping[str, Interval], metric: str, factor: float) -> str:
    if not gains:
        return "no instruction in common"
    gain = gains[metric]
    apart = gain.low > 0 or gain.high < 0
    return f"{_interval(gain, factor, '+')} {'*' if apart else ' '}"


def group_table(
    title: str,
    summaries: Mapping[str, Mapping[str, Mapping[str, float]]],
    columns: Mapping[str, Metric] | None = None,
) -> list[str]:
    """Return a table of means by group and file; no table for a single group."""
    groups = sorted({group for summary in summaries.values() for group in summary})
    if len(groups) < 2:
        return []
    columns = metrics() if columns is None else columns
    header = [f"{short} {metric.unit}".rstrip() for short, metric in columns.items()]
    rows = [[title, "file", "instructions", *header]]
    for group in groups:
        for name, summary in summaries.items():
            if group in summary:
                means = summary[group]
                figures = [f"{m.factor * means[short]:.2f}" for short, m in columns.items()]
                rows.append([group, name, f"{means['episodes']:.0f}", *figures])
    return [aligned(rows)]
