"""Train any vision-and-language task: one of clipnav, of an installed package, or of your own.

$ clipnav finetune vqa --data my_photos
$ clipnav finetune my-task                       # an entry point of clipnav.tasks
$ clipnav finetune package.module:SPEC           # a TaskSpec
$ clipnav finetune package.module:SPEC --resume runs/my-task-mcan-house

clipnav finetune TASK --help describes the flags of a task.
"""

from collections.abc import Sequence

from clipnav.vl_tasks.grids.encoders import check_encoder
from clipnav.vl_tasks.specs import parse_task, task_names


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    name, *flags = arguments or ["--help"]
    if name.startswith("-"):
        print(f"{__doc__}\nTasks: {', '.join(task_names())}")
    else:
        train_task(name, flags, None)


def train_task(name: str, arguments: Sequence[str], description: str | None) -> None:
    """Train a task with the settings of a command line."""
    config = parse_task(name, arguments, description)
    check_encoder(config)
    # Imported here so that --help answers without loading torch.
    from clipnav.vl_tasks.training import train

    train(config)
