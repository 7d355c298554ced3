r"""Encode the objects that are visible from each viewpoint: a crop of the largest box of each.

$ clipnav extract-object-features                       # the built-in houses, with house_clip
$ clipnav extract-object-features --world matterport --data-dir data --encoder ViT-B-16 \
    --pretrained openai                                 # writes data/reverie/objects.safetensors
$ clipnav extract-object-features --world matterport --data-dir data --output objects.hdf5

The boxes are those of REVERIE, which the built-in houses have as well. Run the same command again
to resume an interrupted run.
"""

from collections.abc import Sequence

from clipnav.encoders.extraction.object_arguments import ObjectArguments
from clipnav.parsing import parse


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    config = parse(ObjectArguments, __name__, __doc__, arguments)
    # Imported here, because it loads torch, which the help text does not need.
    from clipnav.encoders.extraction import object_crops

    object_crops.main(config)
