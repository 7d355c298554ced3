"""Train any vision-and-language task: one of clipnav, of an installed package, or of your own.

$ clipnav finetune vqa --data my_photos
$ clipnav finetune my-task                       # an entry point of clipnav.tasks
$ clipnav finetune package.module:SPEC           # a TaskSpec
$ clipnav finetune package.module:SPEC --resume runs/my-task-mcan-house

clipnav finetune TASK --help describes the flags of a task.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import tyro

from clipnav.parsing import parse
from clipnav.vl_tasks.grids.encoders import check_encoder
from clipnav.vl_tasks.specs import parse_task


@dataclass(frozen=True)
class FinetuneArguments:
    """Task to train; its flags follow."""

    task: tyro.conf.Positional[str]
    """Name of a task (vqa, multilingual-vqa, gqa, snli-ve, captions, pretrain-vl, or one of an
    installed package), or package.module:SPEC."""


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    if not arguments or arguments[0].startswith("-"):
        parse(FinetuneArguments, __name__, __doc__, arguments)  # prints the help or what is missing
    train_task(arguments[0], arguments[1:], None)


def train_task(name: str, arguments: Sequence[str], description: str | None) -> None:
    """Train a task with the settings of a command line."""
    config = parse_task(name, arguments, description)
    check_encoder(config)
    # Imported here so that --help answers without loading torch.
    from clipnav.vl_tasks.training import train

    train(config)
