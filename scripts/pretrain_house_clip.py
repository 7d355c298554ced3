"""Pre-train the small CLIP of the project on houses that no agent navigates.

$ pretrain_house_clip.py                            # writes encoders/house_clip
$ pretrain_house_clip.py --set standard             # on the training houses of agents, into runs/
$ pretrain_house_clip.py --objective supervised     # the same tower, trained by labels
$ pretrain_house_clip.py --samples 2560 --houses 2 --held-out 1 --output /tmp/tiny    # a quick test

Builds the houses, renders their panoramas into the cache, trains, exports and scores. The last
houses are held out: the model is not trained but scored on their views. Run the same command again
to resume an interrupted training.
"""

from complaints import friendly_errors

import tyro

from encoders.pretraining.arguments import PretrainArguments


def main(arguments: PretrainArguments) -> None:
    """Run the command."""
    # Imported here, because it loads torch, which the help text does not need.
    from encoders.pretraining import command

    command.main(arguments)


if __name__ == "__main__":
    with friendly_errors():
        main(tyro.cli(PretrainArguments, description=__doc__))
