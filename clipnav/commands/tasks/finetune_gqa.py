"""Train a GQA model and score it with the official GQA metrics.

$ clipnav finetune-gqa
$ clipnav finetune-gqa --no-vision
$ clipnav finetune-gqa --preset mcan-small --data data/gqa --regions data/gqa/regions
$ clipnav finetune-gqa --preset mcan-small-grid --data data/gqa --submit submission
$ clipnav finetune-gqa --model clip-vil-p --start-from runs/pretrain-vl-house
$ clipnav finetune-gqa --resume runs/gqa-mcan-house

--data and --preset choose the defaults of the other flags.
"""

from collections.abc import Sequence

from clipnav.commands.tasks.finetune import train_task


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    train_task("gqa", arguments, __doc__)
