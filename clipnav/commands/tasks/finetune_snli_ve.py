r"""Train a visual entailment model: entailment, neutral or contradiction of image and sentence.

$ clipnav finetune-snli-ve
$ clipnav finetune-snli-ve --no-vision
$ clipnav finetune-snli-ve --data data/snli_ve --images data/flickr30k_images \
    --preset snli-ve-two-tower
$ clipnav finetune-snli-ve --resume runs/snli-ve-fused-house

--data and --preset choose the defaults of the other flags.
"""

from collections.abc import Sequence

from clipnav.vl_tasks.command_line import parse_entailment
from clipnav.vl_tasks.grids.encoders import check_encoder


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    config = parse_entailment(arguments, __doc__)
    check_encoder(config)
    # Imported here so that --help answers without loading torch.
    from clipnav.vl_tasks.entailment.learning import train_entailment

    train_entailment(config)
