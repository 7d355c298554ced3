"""Text report on submission files of R2R-CE and RxR-CE."""

import json
from collections.abc import Sequence
from pathlib import Path

from envs.continuous.files.scores import (
    ScoredWalks,
    continuous_results,
    load_continuous_ground_truth,
    score_continuous_submission,
    walk_differences,
)
from envs.submissions.ground_truth import ScoringRules
from envs.submissions.report import file_letter, group_table, metric_table
from storage import write_text


def evaluate_continuous_submissions(
    files: Sequence[Path], rules: ScoringRules, json_path: Path | None = None
) -> int:
    """Score submission files, print the report and optionally write the results as JSON.

    Returns:
        1 if a file has faults that a test server refuses, otherwise 0.

    Raises:
        FileNotFoundError: A file or the data is missing.
        ValueError: No file is given, a file is not JSON, or the rules do not fit.
    """
    if not files:
        raise ValueError("no submission file; pass at least one, before the other arguments")
    truth = load_continuous_ground_truth(rules)
    scored = [score_continuous_submission(path, rules, truth) for path in files]
    print(continuous_report(scored, rules))
    if json_path is not None:
        results = continuous_results(scored, rules)
        write_text(json_path, json.dumps(results, indent=1, allow_nan=False))
    return int(any(walks.checked.faulty for walks in scored))


def continuous_report(scored: Sequence[ScoredWalks], rules: ScoringRules) -> str:
    """Return the report on submissions that were scored by the same rules."""
    named = {file_letter(number): walks for number, walks in enumerate(scored)}
    parts = [_file_report(name, walks, rules) for name, walks in named.items()]
    usable = {name: walks for name, walks in named.items() if walks.measures}
    if usable:
        (first_name, first), *others = usable.items()
        columns = {name: walks.intervals(rules) for name, walks in usable.items()}
        gains = {
            f"{name} - {first_name}": walk_differences(first, other, rules)[1]
            for name, other in others
        }
        parts.append(metric_table(columns, gains, first.metrics, rules))
        languages = {name: walks.by_language() for name, walks in usable.items()}
        parts += group_table("language", languages, first.metrics)
    return "\n\n".join(parts)


def _file_report(name: str, scored: ScoredWalks, rules: ScoringRules) -> str:
    checked = scored.checked
    lines = [
        f"{name} = {checked.path}: {checked.records} records, {len(checked.walks)} of "
        f"{checked.expected} instructions of {rules.dataset} {' + '.join(rules.splits)} usable"
    ]
    for finding in checked.findings:
        lines.append(f"  {'FAULT' if finding.fault else 'note'}: {finding}")
    paths = len({(e.scan, e.path_id) for e in scored.episodes})
    lines.append(f"  scored: {len(scored.episodes)} instructions of {paths} paths")
    if not scored.episodes and checked.walks:
        lines.append("  the goals of this split are secret: only the format was checked")
    elif unreachable := int(scored.summary().get("unreachable", 0)):
        lines.append(
            f"  {unreachable} walks end where the goal cannot be reached: no success, left out of "
            "the mean NE"
        )
    if scored.episodes and len(checked.walks) < checked.expected:
        lines.append(
            f"  {checked.expected - len(checked.walks)} instructions without a usable walk "
            + (
                "are scored as walks of only the start"
                if rules.missing == "stand-still"
                else "are left out of the means (--missing stand-still scores the start instead)"
            )
        )
    return "\n".join(lines)
