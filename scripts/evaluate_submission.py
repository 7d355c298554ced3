"""Validate submission files of any codebase and score them with confidence intervals.

$ evaluate_submission.py mine.json --dataset r2r --split val_unseen --data-dir data
$ evaluate_submission.py baseline.jsonl mine.jsonl --dataset rxr --data-dir data --json scores.json

R2R: a JSON array of {"instr_id", "trajectory"}; RxR: the same, or JSON Lines of {"instruction_id",
"path"}. Further files are compared with the first one. The exit status is 1 if a file has faults
that a test server refuses. docs/metrics.md defines the metrics and the file formats.
"""

from complaints import friendly_errors

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro

from envs.submissions.scores import ScoringRules


@dataclass(frozen=True)
class EvaluateSubmissionConfig:
    """Arguments of the command: files to score, and the rules of the scores."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Submission files, before the other arguments."""
    rules: tyro.conf.OmitArgPrefixes[ScoringRules]
    json: Path | None = None
    """JSON file to write all findings and scores to."""


def main() -> int:
    """Parse the command line, score and report."""
    from envs.submissions.report import evaluate_submissions

    config = tyro.cli(EvaluateSubmissionConfig, description=__doc__)
    return evaluate_submissions(config.files, config.rules, config.json)


if __name__ == "__main__":
    with friendly_errors():
        sys.exit(main())
