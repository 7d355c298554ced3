"""Train a visual question answering model and score it with the official VQA accuracy.

$ finetune_vqa.py
$ finetune_vqa.py --no-vision
$ finetune_vqa.py --data easy-vqa
$ finetune_vqa.py --data my_photos                      # photos and questions.csv
$ finetune_vqa.py --preset movie-mcan-clip-vil --data data/vqa --submit test-dev
$ finetune_vqa.py --resume runs/vqa-mcan-house

--data and --preset choose the defaults of the other flags.
"""

from complaints import friendly_errors

import sys

from vl_tasks.command_line import parse_vqa
from vl_tasks.grids.encoders import check_encoder


def main() -> None:
    """Parse the command line and train."""
    config = parse_vqa(sys.argv[1:], __doc__)
    check_encoder(config)
    # Imported here so that --help answers without loading torch.
    from vl_tasks.vqa.learning import train_vqa

    train_vqa(config)


if __name__ == "__main__":
    with friendly_errors():
        main()
