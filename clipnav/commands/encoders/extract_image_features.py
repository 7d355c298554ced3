r"""Encode all images of a folder and its subfolders into the cache that vl_tasks reads.

$ clipnav extract-image-features --images coco --grids.encoder RN50 --grids.pretrained openai \
    --grids.fit stretch --grids.image-size 448 448
$ clipnav extract-image-features --images photos --kind pooled --output features/photos
$ clipnav extract-image-features --images coco ... --shard 0/4   # and 1/4, 2/4, 3/4

Training and inference with the same --grids settings read these features instead of encoding the
images. Run the same command again to resume an interrupted run.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from clipnav.parsing import parse
from clipnav.storage.errors import UserError, pluralise
from clipnav.vl_tasks.settings.networks import GridConfig


@dataclass(frozen=True)
class ExtractImagesArguments:
    """Encode a folder of images."""

    COMMON: ClassVar[tuple[str, ...]] = tuple(
        "images grids.encoder grids.pretrained kind grids.fit grids.image_size grids.precision "
        "output shard skip_damaged device".split()
    )

    images: Path
    """Folder of .jpg, .jpeg and .png files, searched recursively."""
    grids: GridConfig = field(default_factory=GridConfig)
    """Encoder, size and fit."""
    kind: Literal["grid", "dense", "pooled"] = "grid"
    """Kind of features: grid features before pooling, which vl_tasks reads; dense features in the
    joint space with texts; or pooled features of whole images."""
    output: Path | None = None
    """Folder of the features; by default the cache of vl_tasks in $CLIPNAV_CACHE."""
    shard: str | None = None
    """Shard to encode: i/n with i from 0 to n - 1, or auto to read it from torchrun or Slurm. All
    shards are written to one folder and need no merging."""
    skip_damaged: bool = False
    """Skip images that cannot be read instead of stopping."""
    device: str = "cpu"
    """Device of the encoder. Use that of the training which reads the features: it determines the
    automatic precision, which is part of the key of the features."""


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    config = parse(ExtractImagesArguments, __name__, __doc__, arguments)
    from clipnav.storage import cache_dir
    from clipnav.storage.features.shards import Shard
    from clipnav.training.distributed import check_device
    from clipnav.vl_tasks.data.images import image_tree
    from clipnav.vl_tasks.grids.encoders import load_encoder
    from clipnav.vl_tasks.grids.sources import GridSource

    if not config.grids.keep:
        raise UserError(
            "--grids.no-keep has no effect here, because features are always written; remove it"
        )
    check_device(config.device)
    names = [str(path) for path in image_tree(config.images)]
    prefix = ""
    if config.shard:
        shard = Shard.parse(config.shard)
        names, prefix = shard.part(names), f"{shard.index:05}-of-{shard.count:05}-"
    encoder = load_encoder(config.grids, config.device)
    folder = config.output or cache_dir() / "grids"
    images = {name: Path(name) for name in names}
    source = GridSource(encoder, images, config.grids, folder, config.kind, prefix)
    damaged = source.prepare(config.skip_damaged)
    print(f"{folder / source.key}: {pluralise(len(images) - len(damaged), 'image')}")
    if damaged:
        print(f"{pluralise(len(damaged), 'damaged image')} skipped: {' '.join(map(str, damaged))}")
