"""Results of submission files of any task, and paired differences between them."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np

from clipnav.envs.metrics import Interval, paired_gains
from clipnav.envs.submissions.checks import FileCheck
from clipnav.envs.submissions.ground_truth import ScoringRules
from clipnav.envs.worlds import named_world
from clipnav.storage import write_text


class ScoredFile(Protocol):
    """Submission file with the metrics of its instructions."""

    @property
    def checked(self) -> FileCheck:
        """Result of the checks of the file."""
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

    def bootstrap(
        self, columns: Mapping[str, np.ndarray], rows: Sequence[int], rules: ScoringRules
    ) -> dict[str, Interval]:
        """Return the means and intervals of columns (M,) of the instructions `rows` (M,)."""
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
    return len(shared), second.bootstrap(gains, shared, rules)


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
        "submissions": [_file_results(file, rules) for file in scored],
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


def _file_results(scored: ScoredFile, rules: ScoringRules) -> dict[str, Any]:
    checked = scored.checked
    return {
        "file": str(checked.path),
        "records": checked.records,
        "instructions": checked.expected,
        "usable": checked.usable,
        "scored": len(scored.instructions),
        "faulty": checked.faulty,
        "findings": [
            {"what": f.kind, "fault": f.fault, "count": len(f.cases), "places": f.cases}
            for f in checked.findings
        ],
        **scored.results(rules),
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
