"""Pre-train the small CLIP of the project on houses that no agent navigates.

$ clipnav pretrain-house-clip                            # writes encoders/house_clip
$ clipnav pretrain-house-clip --set standard             # on the training houses of agents
$ clipnav pretrain-house-clip --objective supervised     # the same tower, trained by labels
$ clipnav pretrain-house-clip --samples 2560 --houses 2 --held-out 1 --output tiny    # quick

Builds the houses, renders their panoramas into the cache, trains, exports and scores. The last
houses are held out: the model is not trained but scored on their views. Run the same command again
to resume an interrupted training.
"""

from collections.abc import Sequence

from clipnav.parsing import parse
from encoders.pretraining.arguments import PretrainArguments


def run(arguments: PretrainArguments) -> None:
    """Run the command."""
    # Imported here, because it loads torch, which the help text does not need.
    from encoders.pretraining import command

    command.main(arguments)


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    run(parse(PretrainArguments, __name__, __doc__, arguments))
