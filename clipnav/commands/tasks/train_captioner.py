"""Train an image captioner with cross-entropy, then with self-critical training (CIDEr-D reward).

$ clipnav train-captioner
$ clipnav train-captioner --start-from runs/captions-xe-house    # self-critical training
$ clipnav train-captioner --preset coco --data data/coco
$ clipnav train-captioner --resume runs/captions-scst-house

--data and --preset choose the defaults of the other flags.
"""

from collections.abc import Sequence

from clipnav.commands.tasks.finetune import train_task


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    train_task("captions", arguments, __doc__)
