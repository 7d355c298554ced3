"""Pre-train the small CLIP of the project on houses that no agent navigates.

$ pretrain_house_clip.py                                 # writes runs/house_clip/house_clip
$ pretrain_house_clip.py --resume runs/house_clip
$ pretrain_house_clip.py --export encoders/house_clip    # replaces the shipped encoder
$ pretrain_house_clip.py --set standard                  # on the training houses of agents
$ pretrain_house_clip.py --objective supervised          # the same tower, trained by labels
$ pretrain_house_clip.py --iterations 40 --houses 2 --held-out 1    # a quick test

Builds the houses, renders their panoramas into the cache, trains, exports and scores. The last
houses are held out: the model is not trained but scored on their views.
"""

from complaints import friendly_errors

import sys

from encoders.pretraining.command_line import parse_pretraining


def main() -> None:
    """Parse the command line and pre-train."""
    config = parse_pretraining(sys.argv[1:], __doc__)
    # Imported here so that --help answers without loading torch.
    from encoders.pretraining import command

    command.main(config)


if __name__ == "__main__":
    with friendly_errors():
        main()
