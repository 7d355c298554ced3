r"""Score files of answers to questions in the form of VQA v2.

$ evaluate_answers.py answers.json --questions v2_OpenEnded_mscoco_val2014_questions.json \
    --annotations v2_mscoco_val2014_annotations.json

A file is a JSON list of {"question_id", "answer"}. Prints the official accuracy, per question type
and answer type too. docs/vl_tasks.md says what the variants of the evaluator are.
"""

from complaints import friendly_errors

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from vl_tasks.vqa.normalising import Variant


@dataclass(frozen=True)
class EvaluateAnswersConfig:
    """Score files of answers to questions in the form of VQA v2."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Files of answers, before the other arguments."""
    questions: Path
    """Questions file."""
    annotations: Path
    """Annotations file."""
    variant: Variant = "V2"
    """Of the evaluator: V2 is the official one since 2021."""
    json: Path | None = None
    """Write all scores here."""


def main() -> None:
    """Parse the command line, score and print."""
    config = tyro.cli(EvaluateAnswersConfig, description=__doc__)
    if not config.files:
        raise SystemExit("name a file to score: evaluate_answers.py answers.json --questions ...")
    # Imported here so that --help answers at once.
    from storage import write_text
    from vl_tasks.data.questions import read_questions
    from vl_tasks.vqa.accuracy import score_predictions
    from vl_tasks.vqa.submissions import read_submission

    questions = read_questions(config.questions, config.annotations)
    found = {}
    for file in config.files:
        scores = score_predictions(questions, read_submission(file, questions), config.variant)
        found[str(file)] = asdict(scores)
        print(f"{file}: accuracy {scores.overall:.2f} % of {scores.questions} questions, ", end="")
        print(f"evaluator {scores.variant}")
        for kind in (scores.by_answer_type, scores.by_question_type):
            for name, value in kind.items():
                print(f"  {value:6.2f}  {name or '(no type)'}")
    if config.json:
        write_text(config.json, json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    with friendly_errors():
        main()
