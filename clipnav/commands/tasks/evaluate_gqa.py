r"""Score GQA predictions with the official GQA metrics.

$ clipnav evaluate-gqa predictions.json --questions val_all_questions.json \
    --choices val_choices.json --consistency

A predictions file is a JSON list of {"questionId", "prediction"}. The command prints the scores
over the balanced questions, also per type of question. Duplicate and missing predictions are
errors.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from clipnav.parsing import parse
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs


@dataclass(frozen=True)
class EvaluateGqaConfig:
    """Score GQA predictions with the official GQA metrics."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Predictions files, before the other arguments."""
    questions: Path
    """GQA questions file: balanced questions or, for --consistency, all questions."""
    choices: Path | None = None
    """GQA choices file, for validity and plausibility."""
    consistency: bool = False
    """Consistency; requires predictions for all questions of the file."""
    json: Path | None = None
    """Output file of all scores."""

    def __post_init__(self) -> None:
        check_outputs(self, {"json": (".json",)})


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, score and print."""
    config = parse(EvaluateGqaConfig, __name__, __doc__, arguments)
    if not config.files:
        raise SystemExit(
            "no predictions file given; write clipnav evaluate-gqa predictions.json --questions ..."
        )
    # Imported here so that --help returns at once.
    import json

    from clipnav.storage import write_text
    from clipnav.vl_tasks.gqa.questions import read_gqa_choices, read_gqa_questions
    from clipnav.vl_tasks.gqa.scores import (
        read_gqa_predictions,
        score_gqa,
        summary_line,
        type_lines,
    )

    questions = read_gqa_questions(config.questions)
    balanced = sum(one.balanced for one in questions.values())
    if not balanced:
        raise UserError(
            f"{config.questions}: it contains no balanced question to score; name the file of the "
            "balanced questions or of all questions of the split"
        )
    choices = None if config.choices is None else read_gqa_choices(config.choices)
    results = {}
    for file in config.files:
        predictions = read_gqa_predictions(file, questions, config.consistency)
        try:
            scores = score_gqa(questions, predictions, choices, config.consistency)
        except UserError as error:
            raise UserError(f"{config.questions}: {error}") from error
        results[str(file)] = asdict(scores)
        print(f"{file} ({balanced} balanced questions): {summary_line(scores)}")
        for line in type_lines(scores):
            print(f"  {line}")
    if config.json:
        write_text(config.json, json.dumps(results, indent=1) + "\n")
