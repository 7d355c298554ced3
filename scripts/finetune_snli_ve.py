"""Train a visual entailment model: entailment, neutral or contradiction of image and sentence.

$ finetune_snli_ve.py
$ finetune_snli_ve.py --no-vision
$ finetune_snli_ve.py --data data/snli_ve --images data/flickr30k_images --preset snli-ve-two-tower
$ finetune_snli_ve.py --resume runs/snli-ve-fused-house

--data and --preset choose the defaults of the other flags.
"""

from complaints import friendly_errors

import sys

from vl_tasks.command_line import parse_entailment
from vl_tasks.grids.encoders import check_encoder


def main() -> None:
    """Parse the command line and train."""
    config = parse_entailment(sys.argv[1:], __doc__)
    check_encoder(config)
    # Imported here so that --help answers without loading torch.
    from vl_tasks.entailment.learning import train_entailment

    train_entailment(config)


if __name__ == "__main__":
    with friendly_errors():
        main()
