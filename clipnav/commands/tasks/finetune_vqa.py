"""Train a visual question answering model and score it with the official VQA accuracy.

$ clipnav finetune-vqa
$ clipnav finetune-vqa --no-vision
$ clipnav finetune-vqa --data easy-vqa
$ clipnav finetune-vqa --data my_photos                      # photos and questions.csv
$ clipnav finetune-vqa --preset movie-mcan-clip-vil --data data/vqa --submit test-dev
$ clipnav finetune-vqa --model multilingual --languages en fr de es hi te --start-from RUN
$ clipnav finetune-vqa --resume runs/vqa-mcan-house

--data and --preset choose the defaults of the other flags.
"""

from collections.abc import Sequence

from clipnav.commands.tasks.finetune import train_task


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    train_task("vqa", arguments, __doc__)
