"""Pre-train the small CLIP of the project on houses that no agent navigates.

$ clipnav pretrain-house-clip                                 # writes runs/house_clip/house_clip
$ clipnav pretrain-house-clip --resume runs/house_clip
$ clipnav pretrain-house-clip --export encoders/house_clip    # replaces the shipped encoder
$ clipnav pretrain-house-clip --set standard                  # on the training houses of agents
$ clipnav pretrain-house-clip --objective supervised          # the same tower, trained by labels
$ clipnav pretrain-house-clip --objective supervised --labelled-fraction 0.01    # 1 % of the views
$ clipnav pretrain-house-clip --objective supervised --labels largest     # one label per view
$ clipnav pretrain-house-clip --iterations 40 --houses 2 --held-out 1    # a quick test

The command builds the houses, renders their panoramas into the cache, and trains, exports and
scores the model. The last houses are held out: their views are used for the scores only.
"""

from collections.abc import Sequence

from clipnav.encoders.pretraining.settings import parse_pretraining


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and pre-train."""
    config = parse_pretraining(arguments, __doc__)
    # Imported here so that --help answers without loading torch.
    from clipnav.encoders.pretraining import command

    command.main(config)
