r"""Score VQA predictions with the official VQA v2 accuracy.

$ clipnav evaluate-answers answers.json --questions v2_OpenEnded_mscoco_val2014_questions.json \
    --annotations v2_mscoco_val2014_annotations.json

A predictions file is a JSON list of {"question_id", "answer"}. The command prints the accuracy,
also per question type and answer type. docs/vl_tasks.md describes the variants of the evaluator.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import tyro

from clipnav.parsing import parse
from clipnav.storage.outputs import check_outputs
from clipnav.vl_tasks.text.normalising import Variant


@dataclass(frozen=True)
class EvaluateAnswersConfig:
    """Score VQA predictions with the official VQA v2 accuracy."""

    files: tyro.conf.Positional[tuple[Path, ...]]
    """Predictions files, before the other arguments."""
    questions: Path
    """VQA v2 questions file."""
    annotations: Path
    """VQA v2 annotations file."""
    variant: Variant = "V2"
    """Variant of the evaluator; V2 is the official evaluator since 2021."""
    json: Path | None = None
    """Output file of all scores."""

    def __post_init__(self) -> None:
        check_outputs(self, {"json": (".json",)})


def main(arguments: Sequence[str]) -> None:
    """Parse the command line, score and print."""
    config = parse(EvaluateAnswersConfig, __name__, __doc__, arguments)
    if not config.files:
        raise SystemExit(
            "no predictions file given; write clipnav evaluate-answers answers.json --questions ..."
        )
    # Imported here so that --help returns at once.
    from clipnav.storage import write_text
    from clipnav.vl_tasks.data.questions import read_questions
    from clipnav.vl_tasks.vqa.accuracy import score_predictions
    from clipnav.vl_tasks.vqa.submissions import read_submission

    questions = read_questions(config.questions, config.annotations)
    results = {}
    for file in config.files:
        scores = score_predictions(questions, read_submission(file, questions), config.variant)
        results[str(file)] = asdict(scores)
        print(f"{file}: accuracy {scores.overall:.2f} % of {scores.questions} questions, ", end="")
        print(f"evaluator {scores.variant}")
        for kind in (scores.by_answer_type, scores.by_question_type):
            for name, value in kind.items():
                print(f"  {value:6.2f}  {name or '(no type)'}")
    if config.json:
        write_text(config.json, json.dumps(results, indent=1) + "\n")
