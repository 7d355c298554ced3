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

from clipnav.vl_tasks.command_line import parse_vqa
from clipnav.vl_tasks.grids.encoders import check_encoder


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and train."""
    config = parse_vqa(arguments, __doc__)
    check_encoder(config)
    # Imported here so that --help answers without loading torch.
    if config.model == "multilingual":
        from clipnav.vl_tasks.multilingual.learning import train_multilingual

        train_multilingual(config)
    else:
        from clipnav.vl_tasks.vqa.learning import train_vqa

        train_vqa(config)
