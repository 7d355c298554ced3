"""Validate submission files of any codebase and score them with confidence intervals.

$ clipnav evaluate-submission mine.json --dataset r2r --splits val_unseen --data-dir data
$ clipnav evaluate-submission baseline.jsonl mine.jsonl --dataset rxr --json scores.json
$ clipnav evaluate-submission walks.json --dataset r2r-ce --definition etpnav
$ clipnav evaluate-submission walks.json --dataset reverie --data-dir data

R2R: a JSON array of {"instr_id", "trajectory"}; RxR: the same, or JSON Lines of objects with the
fields "instruction_id" and "path". R2R-CE: a JSON object from episode_id to poses; RxR-CE: JSON
Lines with positions, both on the built-in houses. Further files are compared with the first one.
The exit status is 1 if a file has faults that a test server refuses. docs/metrics.md,
docs/goals.md (REVERIE, SOON, CVDN, ObjectNav, GOAT) and docs/continuous.md define the metrics and
the file formats.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import tyro

from clipnav.envs.submissions.ground_truth import ScoringRules
from clipnav.parsing import parse
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs


@dataclass(frozen=True)
class EvaluateSubmissionConfig:
    """Arguments of the command: files to score, and the rules of the scores."""

    COMMON: ClassVar[tuple[str, ...]] = tuple(
        "files rules.dataset rules.splits rules.world rules.data_dir json".split()
    )

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Submission files, before the other arguments."""
    rules: tyro.conf.OmitArgPrefixes[ScoringRules]
    json: Path | None = None
    """JSON file to write all findings and scores to."""

    def __post_init__(self) -> None:
        if not self.files:
            raise UserError("no submission file; pass at least one, before the other arguments")
        check_outputs(self, {"json": (".json",)})


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, score and report."""
    config = parse(EvaluateSubmissionConfig, __name__, __doc__, arguments)
    if config.rules.is_continuous:
        from clipnav.envs.continuous.files.scores import evaluate_continuous_submissions

        return evaluate_continuous_submissions(config.files, config.rules, config.json)
    from clipnav.envs.submissions.scores import evaluate_submissions

    return evaluate_submissions(config.files, config.rules, config.json)
