"""Answer questions about an image with a model of clipnav finetune-vqa or clipnav finetune-gqa.

$ clipnav answer photo.jpg "how many chairs are there?"
$ clipnav answer photo.jpg "what colour is the sofa?" "is there a lamp?" --run runs/vqa-mcan-house
$ clipnav answer photo.jpg "is there a lamp?" --max-risk 5   # abstain from unreliable answers
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from clipnav.parsing import parse
from clipnav.storage.errors import UserError
from clipnav.training.settings import check_counts

_COUNT = 5  # answers to print per question


@dataclass(frozen=True)
class AnswerConfig:
    """Image, questions and model."""

    image: tyro.conf.Positional[Path]
    """Image file, or .npz file of region features for a model trained with --regions."""
    questions: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Questions about the image."""
    run: Path = Path("runs/vqa-mcan-house")
    """Folder of the run, made by clipnav finetune-vqa or clipnav finetune-gqa."""
    max_risk: float | None = None
    """Tolerated risk in percent: abstain from answers that are not confident enough for it."""
    selector: Path | None = None
    """Folder of clipnav train-selector with confidence and thresholds, for --max-risk; default:
    runs/selector-NAME_OF_THE_RUN."""
    count: int | None = None
    """Number of answers to print per question, most probable first; 5 by default, one with
    --max-risk."""
    device: str = "cpu"
    """Device of the model: cpu, cuda, cuda:0, ..."""

    def __post_init__(self) -> None:
        check_counts(self, ("count",))
        if self.selector is not None and self.max_risk is None:
            raise UserError(f"--selector {self.selector} has no effect without --max-risk; set it")
        if self.count is not None and self.max_risk is not None:
            raise UserError(
                f"--count {self.count} has no effect with --max-risk, which prints one answer; "
                "omit one of them"
            )


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and answer."""
    config = parse(AnswerConfig, __name__, __doc__, arguments)
    if not all(question.strip() for question in config.questions or [""]):
        raise SystemExit('no question given; write clipnav answer IMAGE "is there a lamp?"')
    if config.max_risk is not None:
        from clipnav.vl_tasks.reliability.model_answers import answer_or_abstain

        run = Path(os.path.abspath(config.run))  # the path "." has no name
        folder = config.selector or run.with_name(f"selector-{run.name}")
        given = answer_or_abstain(
            *(folder, config.run, config.image, config.questions),
            *(config.max_risk, config.device),
        )
        for question, answer in zip(config.questions, given, strict=True):
            print(f"{question}: {answer.text}")
        return
    # Imported here so that --help answers without loading torch.
    from clipnav.vl_tasks.vqa.answering import answer_questions

    ranked = answer_questions(
        config.run, config.image, config.questions, config.count or _COUNT, config.device
    )
    for question, answers in zip(config.questions, ranked, strict=True):
        print(f"{question}: {answers[0][0]}")
        for answer, score in answers:
            print(f"  {score:6.1%}  {answer}")
