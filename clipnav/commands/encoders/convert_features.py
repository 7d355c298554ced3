r"""Convert panorama features between safetensors, CLIP-ViL's TSV, HAMT's HDF5 and LMDB.

$ clipnav convert-features --features CLIP-ViT-B-32-views.tsv --output vit_b32.safetensors \
    --encoder "ViT-B/32 openai" --channel-order BGR
$ clipnav convert-features --features features/rn50.safetensors --output rn50.hdf5

The suffixes select the formats. Other commands can also read these files directly; they store a
converted copy in the cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from clipnav.parsing import parse
from clipnav.storage.outputs import check_new, check_outputs
from clipnav.training.settings import check_counts, check_unused_options


@dataclass(frozen=True)
class ConvertArguments:
    """Convert a feature file; the suffixes select the formats."""

    features: Path
    """File to read: .tsv, .h5, .hdf5, .lmdb or .safetensors."""
    output: Path
    """File to write, with one of these suffixes; it must not exist."""
    width: int | None = None
    """Width of a view's features to keep. By default all, except for the 1000 logits that HAMT's
    files append."""
    encoder: str | None = None
    """Name of the encoder, recorded in the metadata; for files that do not contain it."""
    channel_order: Literal["RGB", "BGR"] | None = None
    """Channel order of the encoded images, recorded in the metadata; CLIP-ViL's files are BGR."""
    view_order: Literal["bottom_first", "top_first"] = "bottom_first"
    """Order of the file's 36 views; clipnav inspect-features --reference determines it."""

    def __post_init__(self) -> None:
        check_counts(self, ("width",))
        if self.features.suffix == ".safetensors":
            reason = f"with {self.features}, whose views have one width"
            check_unused_options(self, {"width": reason})
        check_outputs(self, {"output": (".tsv", ".h5", ".hdf5", ".lmdb", ".safetensors")})


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    config = parse(ConvertArguments, __name__, __doc__, arguments)
    from clipnav.storage.features.formats import write_features
    from clipnav.storage.features.opening import read_features
    from clipnav.storage.locks import exclusive_lock
    from clipnav.storage.progress import progress_bar

    check_new(config.output)
    keys, rows, metadata = read_features(config.features, config.width)
    given = {"encoder": config.encoder, "channel_order": config.channel_order}
    metadata |= {name: value for name, value in given.items() if value is not None}
    if config.view_order == "top_first":
        rows = (np.concatenate([row[24:], row[12:24], row[:12]]) for row in rows)
    bar = progress_bar(rows, total=len(keys), desc=config.output.name, unit="viewpoints")
    with exclusive_lock(config.output):
        write_features(config.output, keys, bar, metadata)
    size = config.output.stat().st_size / 1e6
    print(f"{config.output}: {len(keys)} viewpoints, {size:.1f} MB")
