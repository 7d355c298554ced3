r"""Train a visual entailment model: entailment, neutral or contradiction of image and sentence.

$ clipnav finetune-snli-ve
$ clipnav finetune-snli-ve --no-vision
$ clipnav finetune-snli-ve --data data/snli_ve --images data/flickr30k_images \
    --preset snli-ve-two-tower
$ clipnav finetune-snli-ve --resume runs/snli-ve-fused-house

--data and --preset choose the defaults of the other flags.
"""

from collections.abc import Sequence

from clipnav.commands.tasks.finetune import train_task


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    train_task("snli-ve", arguments, __doc__)
