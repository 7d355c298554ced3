r"""Encode the 36 views of every viewpoint of a world into a feature store.

$ clipnav extract-features --output features/houses.safetensors --precision fp32
$ clipnav extract-features --world houses-standard
$ clipnav extract-features --world houses-standard --encoder runs/a runs/b --output-dir features
$ clipnav extract-features --world matterport --data-dir data --encoder RN50 --pretrained openai \
    --output features/rn50.safetensors
$ clipnav extract-features --output features/rn50.safetensors ... --shard 0/4   # and 1/4, 2/4, 3/4
$ clipnav extract-features --output features/rn50.safetensors --merge

Run the same command again to resume an interrupted run.
"""

from collections.abc import Sequence

from clipnav.encoders.extraction.arguments import ExtractArguments
from clipnav.parsing import parse


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    config = parse(ExtractArguments, __name__, __doc__, arguments)
    # Imported here, because it loads torch, which the help text does not need.
    from clipnav.encoders.extraction import command

    command.main(config)
