"""What a person reads about submission files: what was wrong, what counted, tables side by side."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase

from envs.metrics import Interval, aligned
from envs.submissions.scores import (
    ScoredSubmission,
    ScoringRules,
    differences,
    load_ground,
    results,
    score_submission,
)
from storage import write_text

# Metrics in the order of the tables: factor and unit.
_UNITS = {
    "TL": (1, "m"),
    "NE": (1, "m"),
    "OSR": (100, "%"),
    "SR": (100, "%"),
    "SPL": (100, "%"),
    "SPL_ref": (100, "%"),
    "nDTW": (100, "%"),
    "sDTW": (100, "%"),
    "CLS": (100, "%"),
    "steps": (1, ""),
    "moves": (1, ""),
}


def evaluate_submissions(
    files: Sequence[Path], rules: ScoringRules, json_path: Path | None = None
) -> int:
    """Score files, print the report, and write it as JSON if asked for.

    Returns:
        1 if a file has faults that a test server refuses, else 0.

    Raises:
        FileNotFoundError: A file or the data is missing.
        ValueError: No file is named, or one is no JSON; or the data is damaged.
    """
    if not files:
        raise ValueError("name at least one submission file, before the other arguments")
    ground = load_ground(rules)
    scored = [score_submission(path, ground, rules) for path in files]
    print(report(scored, rules))
    if json_path is not None:
        write_text(json_path, json.dumps(results(scored, rules), indent=1, allow_nan=False))
    return int(any(one.checked.faulty for one in scored))


def report(scored: Sequence[ScoredSubmission], rules: ScoringRules) -> str:
    """The whole report on some files that were scored by the same rules."""
    names = [_letter(number) for number in range(len(scored))]
    parts = [_file_report(name, one, rules) for name, one in zip(names, scored, strict=True)]
    counting = {name: one for name, one in zip(names, scored, strict=True) if one.scores}
    if counting:
        parts.append(_side_by_side(counting, rules))
        parts += _groups("language", counting, ScoredSubmission.by_language)
        parts += _groups("split", counting, ScoredSubmission.by_split)
    return "\n\n".join(parts)


def _letter(number: int) -> str:
    return ascii_uppercase[number] if number < len(ascii_uppercase) else f"file {number + 1}"


def _file_report(name: str, scored: ScoredSubmission, rules: ScoringRules) -> str:
    checked = scored.checked
    lines = [
        f"{name} = {checked.path}: {checked.records} records, {len(checked.trajectories)} of "
        f"{checked.expected} instructions of {rules.dataset} {' + '.join(rules.splits)} usable"
    ]
    for finding in checked.findings:
        lines.append(f"  {'FAULT' if finding.fault else 'note'}: {finding}")
    paths = len({(e.scan, e.path_id) for e in scored.episodes})
    lines.append(f"  scored: {len(scored.episodes)} instructions of {paths} paths")
    if not scored.episodes and checked.trajectories:
        lines.append("  the goals of this split are secret: only the form was checked")
    if scored.episodes and len(checked.trajectories) < checked.expected:
        rest = checked.expected - len(checked.trajectories)
        lines.append(
            f"  {rest} instructions without a usable path count as standing still at the start"
            if rules.missing == "stand-still"
            else f"  the means leave out {rest} instructions without a usable path: they are not "
            "comparable with published ones (--missing stand-still counts the start for these)"
        )
    if scored.straight and rules.turns == "keep":
        values = {n: 100 * scored.straight[n].mean() for n in ("ndtw", "sdtw")}
        lines.append(
            f"  without turns (--turns drop): nDTW {values['ndtw']:.2f} %, "
            f"sDTW {values['sdtw']:.2f} %"
        )
    return "\n".join(lines)


def _side_by_side(scored: Mapping[str, ScoredSubmission], rules: ScoringRules) -> str:
    """Metrics by file, and how each other file differs from the first."""
    (first_name, first), *others = scored.items()
    columns = {name: one.intervals(rules) for name, one in scored.items()}
    gains = {
        f"{name} - {first_name}": differences(first, other, rules)[1] for name, other in others
    }
    rows = [["metric", *columns, *gains]]
    for metric, (factor, unit) in _UNITS.items():
        values = [_interval(column[metric], factor, "") for column in columns.values()]
        pairs = [_gain(column, metric, factor) for column in gains.values()]
        rows.append([f"{metric} {unit}".rstrip(), *values, *pairs])
    note = (
        f"means with {100 * rules.confidence:g} % intervals ({rules.resamples} resamples of the "
        f"paths, seed {rules.seed})"
    )
    if gains:
        note += "; differences over the instructions that both scored, * where 0 is outside"
    return f"{aligned(rows)}\n{note}"


def _interval(interval: Interval, factor: float, sign: str) -> str:
    mean, low, high = (format(factor * value, f"{sign}.2f") for value in interval)
    return f"{mean} [{low}, {high}]"


def _gain(gains: Mapping[str, Interval], metric: str, factor: float) -> str:
    if not gains:
        return "no instruction in common"
    gain = gains[metric]
    apart = gain.low > 0 or gain.high < 0
    return f"{_interval(gain, factor, '+')} {'*' if apart else ' '}"


def _groups(
    title: str,
    scored: Mapping[str, ScoredSubmission],
    summaries: Callable[[ScoredSubmission], Mapping[str, Mapping[str, float]]],
) -> list[str]:
    """A table of means by group and file; none where there is a single group."""
    found = {name: summaries(one) for name, one in scored.items()}
    groups = sorted({group for summary in found.values() for group in summary})
    if len(groups) < 2:
        return []
    shown = [metric for metric in _UNITS if metric not in ("steps", "moves")]
    rows = [[title, "file", "instructions", *(f"{m} {_UNITS[m][1]}" for m in shown)]]
    for group in groups:
        for name, summary in found.items():
            if group in summary:
                means = summary[group]
                figures = [f"{_UNITS[metric][0] * means[metric]:.2f}" for metric in shown]
                rows.append([group, name, f"{means['episodes']:.0f}", *figures])
    return [aligned(rows)]
