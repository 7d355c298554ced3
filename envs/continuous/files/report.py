"""Text report on submission files of R2R-CE and RxR-CE."""

from collections.abc import Sequence
from pathlib import Path

from clipnav.envs.continuous.files.scores import (
    ScoredWalks,
    continuous_results,
    load_continuous_ground_truth,
    score_continuous_submission,
)
from clipnav.envs.continuous.files.submissions import submitted_records
from clipnav.envs.datasets import continuous_version
from clipnav.envs.submissions.comparison import evaluate_files
from clipnav.envs.submissions.ground_truth import ScoringRules
from clipnav.envs.submissions.report import (
    check_lines,
    file_letter,
    group_table,
    metric_table,
    missing_line,
)


def evaluate_continuous_submissions(
    files: Sequence[Path], rules: ScoringRules, json_path: Path | None = None
) -> int:
    """Score submission files, print the report and optionally write the results as JSON."""
    for path in files:  # the walks of the expert take longer
        submitted_records(path, continuous_version(rules.instructions_dataset).form)
    truth = load_continuous_ground_truth(rules)
    return evaluate_files(
        files,
        lambda path: score_continuous_submission(path, rules, truth),
        lambda scored: continuous_report(scored, rules),
        lambda scored: continuous_results(scored, rules),
        json_path,
    )


def continuous_report(scored: Sequence[ScoredWalks], rules: ScoringRules) -> str:
    """Return the report on submissions that were scored by the same rules."""
    named = {file_letter(number): walks for number, walks in enumerate(scored)}
    parts = [_file_report(name, walks, rules) for name, walks in named.items()]
    usable = {name: walks for name, walks in named.items() if walks.measures}
    if usable:
        reported = scored[0].reported
        parts.append(metric_table(usable, reported, rules))
        languages = {name: walks.by_language() for name, walks in usable.items()}
        parts += group_table("language", languages, reported)
    return "\n\n".join(parts)


def _file_report(name: str, scored: ScoredWalks, rules: ScoringRules) -> str:
    lines = check_lines(name, scored.checked, scored.episodes, rules)
    if unreachable := int(scored.summary().get("unreachable", 0)):
        lines.append(
            f"  {unreachable} walks end where the goal cannot be reached: no success, left out of "
            "the mean NE"
        )
    if scored.episodes and scored.checked.usable < scored.checked.expected:
        lines.append(missing_line(scored.checked, "walk", rules))
    return "\n".join(lines)
