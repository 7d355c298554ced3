"""Train an image captioner with cross-entropy, then with self-critical training (CIDEr-D reward).

$ train_captioner.py
$ train_captioner.py --start runs/captions-xe-house    # self-critical training
$ train_captioner.py --preset coco --data data/coco
$ train_captioner.py --resume runs/captions-scst-house

--data and --preset choose the defaults of the other flags.
"""

from complaints import friendly_errors

import sys

from vl_tasks.command_line import parse_captions
from vl_tasks.grids.encoders import check_encoder


def main() -> None:
    """Parse the command line and train."""
    config = parse_captions(sys.argv[1:], __doc__)
    check_encoder(config)
    # Imported here so that --help answers without loading torch.
    from vl_tasks.captioning.learning import train_captioner

    train_captioner(config)


if __name__ == "__main__":
    with friendly_errors():
        main()
