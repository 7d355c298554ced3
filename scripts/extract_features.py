r"""Encode the 36 views of every viewpoint of a world into a feature store.

$ extract_features.py --output envs/houses/data/house_clip_features.safetensors --precision fp32
$ extract_features.py --world houses-standard
$ extract_features.py --world houses-standard --encoder runs/a runs/b runs/c --output-dir features
$ extract_features.py --world matterport --data-dir data --encoder RN50 --pretrained openai \
    --output features/rn50.safetensors
$ extract_features.py --output features/rn50.safetensors ... --shard 0/4   # and 1/4, 2/4, 3/4
$ extract_features.py --output features/rn50.safetensors --merge

Run the same command again to resume an interrupted run.
"""

from complaints import friendly_errors

import tyro

from encoders.extraction.arguments import ExtractArguments


def main(arguments: ExtractArguments) -> None:
    """Run the command."""
    # Imported here, because it loads torch, which the help text does not need.
    from encoders.extraction import command

    command.main(arguments)


if __name__ == "__main__":
    with friendly_errors():
        main(tyro.cli(ExtractArguments, description=__doc__))
