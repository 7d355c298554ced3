"""Answer questions about an image with a model of clipnav finetune-vqa or clipnav finetune-gqa.

$ clipnav answer photo.jpg "how many chairs are there?"
$ clipnav answer photo.jpg "what colour is the sofa?" "is there a lamp?" --run runs/vqa-mcan-house
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from clipnav.parsing import parse
from training.settings import check_counts


@dataclass(frozen=True)
class AnswerConfig:
    """Image, questions and model."""

    image: tyro.conf.Positional[Path]
    """Image file, or .npz file of region features for a model trained with --regions."""
    questions: Annotated[tuple[str, ...], tyro.conf.Positional]
    """Questions about the image."""
    run: Path = Path("runs/vqa-mcan-house")
    """Folder of the run, made by clipnav finetune-vqa or clipnav finetune-gqa."""
    count: int = 5
    """Number of answers to print per question, most probable first."""
    device: str = "cpu"
    """Device of the model: cpu, cuda, cuda:0, ..."""

    def __post_init__(self) -> None:
        check_counts(self, ("count",))


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and answer."""
    config = parse(AnswerConfig, __name__, __doc__, arguments)
    if not config.questions:
        raise SystemExit('no question given; write clipnav answer IMAGE "is there a lamp?"')
    # Imported here so that --help answers without loading torch.
    from vl_tasks.vqa.answering import answer_questions

    ranked = answer_questions(
        config.run, config.image, config.questions, config.count, config.device
    )
    for question, answers in zip(config.questions, ranked, strict=True):
        print(f"{question}: {answers[0][0]}")
        for answer, score in answers:
            print(f"  {score:6.1%}  {answer}")
