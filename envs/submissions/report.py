"""Text report on submission files: findings, number of scored instructions, tables of metrics."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Protocol

from clipnav.envs.metrics import SUMMARY_METRICS, Interval, Metric, aligned
from clipnav.envs.submissions.checks import FileCheck
from clipnav.envs.submissions.comparison import ScoredFile, differences, evaluate_files
from clipnav.envs.submissions.ground_truth import ScoringRules, load_ground_truth
from clipnav.envs.submissions.scores import ScoredSubmission, score_submission, submission_results
from clipnav.storage.errors import counted


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


# Rows of the metric table, in order.
_ROWS = {
    **SUMMARY_METRICS,
    "steps": Metric("steps", 1, ""),
    "moves": Metric("moves", 1, ""),
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
        parts.append(metric_table(scored, _ROWS, rules))
        parts += group_table("language", {n: s.by_language() for n, s in scored.items()})
        parts += group_table("split", {n: s.by_split() for n, s in scored.items()})
    return "\n\n".join(parts)


def file_letter(number: int) -> str:
    """Return the name of a file in a report: A, B, ..."""
    return ascii_uppercase[number] if number < len(ascii_uppercase) else f"file {number + 1}"


def _file_report(name: str, scored: ScoredSubmission, rules: ScoringRules) -> str:
    lines = check_lines(name, scored.checked, scored.episodes, rules)
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
    name: str, checked: FileCheck, episodes: Sequence[ScoredEpisode], rules: ScoringRules
) -> list[str]:
    """Return the lines of a report on the checks of a file."""
    expected = counted(checked.expected, "instruction")
    lines = [
        f"{name} = {checked.path}: {counted(checked.records, 'record')}, {checked.usable} of "
        f"{expected} of {rules.dataset} {' + '.join(rules.splits)} usable"
    ]
    for finding in checked.findings:
        lines.append(f"  {'FAULT' if finding.fault else 'note'}: {finding}")
    paths = len({(e.scan, e.path_id) for e in episodes})
    lines.append(f"  scored: {counted(len(episodes), 'instruction')} of {counted(paths, 'path')}")
    if not episodes and checked.usable:
        lines.append("  the goals of this split are secret: only the format was checked")
    if checked.records and not checked.usable:
        lines.append("  no record is usable: check --dataset, --splits, and --world or --data-dir")
    return lines


def missing_line(checked: FileCheck, kind: str, rules: ScoringRules) -> str:
    """Return the line on instructions without a usable record."""
    rest = counted(checked.expected - checked.usable, "instruction")
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
    metrics: Mapping[str, Metric] = SUMMARY_METRICS,
) -> list[str]:
    """Return a table of means by group and file; no table for a single group."""
    groups = sorted({group for summary in summaries.values() for group in summary})
    if len(groups) < 2:
        return []
    header = [f"{short} {metric.unit}".rstrip() for short, metric in metrics.items()]
    rows = [[title, "file", "instructions", *header]]
    for group in groups:
        for name, summary in summaries.items():
            if group in summary:
                means = summary[group]
                figures = [f"{m.factor * means[short]:.2f}" for short, m in metrics.items()]
                rows.append([group, name, f"{means['episodes']:.0f}", *figures])
    return [aligned(rows)]
