r"""Encode all pictures of a folder and of those below it into the cache that vl_tasks reads.

$ extract_image_features.py --pictures coco --grids.encoder RN50 --grids.pretrained openai \
    --grids.fit stretch --grids.size 448 448
$ extract_image_features.py --pictures photos --what pooled --output features/photos
$ extract_image_features.py --pictures coco ... --shard 0/4   # and 1/4, 2/4, 3/4

Training and answering with the same --grids settings then find what they would encode themselves.
A run that was interrupted goes on where it stopped when the same command is given again.
"""

from complaints import friendly_errors

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import tyro

from vl_tasks.settings.configs import GridConfig


@dataclass(frozen=True)
class ExtractImagesArguments:
    """Encodes a folder of pictures."""

    pictures: Path
    """Folder of .jpg, .jpeg and .png files, at any depth."""
    grids: GridConfig = field(default_factory=GridConfig)
    """Encoder, size and fit."""
    what: Literal["grid", "dense", "pooled"] = "grid"
    """Features of places before pooling, which vl_tasks reads; of places in the space of texts; or
    of whole pictures."""
    output: Path | None = None
    """Folder of the features; by default that of vl_tasks, below $CLIPNAV_CACHE."""
    shard: str | None = None
    """Part to encode: i/n with i from 0 to n - 1, or auto under torchrun or Slurm. All parts lie in
    one folder and need no merging."""
    skip_damaged: bool = False
    """Leave out pictures that cannot be read instead of ending there."""
    device: str = "cpu"
    """Where to encode, as of the training that shall find the features: automatic precision, and
    with it what they are kept under, follows from it."""


def main(arguments: ExtractImagesArguments) -> None:
    """Run the command."""
    from storage import cache_dir
    from storage.features.shards import Shard
    from training.devices import check_device
    from vl_tasks.data.images import picture_tree
    from vl_tasks.grids.encoders import load_encoder
    from vl_tasks.grids.sources import GridSource

    if not arguments.grids.keep:
        raise ValueError("--grids.no-keep leaves nothing to do here: features are kept")
    check_device(arguments.device)
    names = [str(path) for path in picture_tree(arguments.pictures)]
    prefix = ""
    if arguments.shard:
        shard = Shard.parse(arguments.shard)
        names, prefix = shard.part(names), f"{shard.index:05}-of-{shard.count:05}-"
    encoder = load_encoder(arguments.grids, arguments.device)
    folder = arguments.output or cache_dir() / "grids"
    images = {name: Path(name) for name in names}
    source = GridSource(encoder, images, arguments.grids, folder, arguments.what, prefix)
    damaged = source.prepare(arguments.skip_damaged)
    print(f"{folder / source.key}: {len(images) - len(damaged)} pictures")
    if damaged:
        print(f"{len(damaged)} damaged ones left out: {' '.join(map(str, damaged))}")


if __name__ == "__main__":
    with friendly_errors():
        main(tyro.cli(ExtractImagesArguments, description=__doc__))
