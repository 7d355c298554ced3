"""Train an image captioner with cross-entropy, then with self-critical training (CIDEr-D reward).

$ clipnav train-captioner
$ clipnav train-captioner --start-from runs/captions-xe-house    # self-critical training
$ clipnav train-captioner --preset coco --data data/coco
$ clipnav train-captioner --resume runs/captions-scst-house

--data and --preset choose the defaults of the other flags.
"""

from collections.abc import Sequence

from clipnav.vl_tasks.command_line import parse_captions
from clipnav.vl_tasks.grids.encoders import check_encoder


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    config = parse_captions(arguments, __doc__)
    check_encoder(config)
    # Imported here so that --help answers without loading torch.
    from clipnav.vl_tasks.captioning.learning import train_captioner

    train_captioner(config)
