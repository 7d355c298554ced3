r"""Convert features of panoramas between formats: safetensors, CLIP-ViL's TSV, HAMT's HDF5, LMDB.

$ convert_features.py --features CLIP-ViT-B-32-views.tsv --output features/vit_b32.safetensors \
    --encoder "ViT-B/32 openai" --channel-order BGR
$ convert_features.py --features features/rn50.safetensors --output rn50.hdf5

The suffixes name the formats. Other commands read these files directly as well, and keep a
converted copy in the cache.
"""

from complaints import friendly_errors

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tyro


@dataclass(frozen=True)
class ConvertArguments:
    """Converts a file of features; the suffixes name the formats."""

    features: Path
    """File to read: .tsv, .h5, .hdf5, .lmdb or .safetensors."""
    output: Path
    """File to write, with one of these suffixes."""
    width: int | None = None
    """Numbers to keep of each view. By default all but the 1000 logits behind those of HAMT."""
    encoder: str | None = None
    """What made the features, to be recorded where the file does not say."""
    channel_order: Literal["RGB", "BGR"] | None = None
    """Order of colours that they were made from, to be recorded; CLIP-ViL's files are BGR."""
    view_order: Literal["bottom_first", "top_first"] = "bottom_first"
    """Order of the file's rows; scripts/inspect_features.py --reference finds it out."""


def main(arguments: ConvertArguments) -> None:
    """Run the command."""
    from tqdm import tqdm

    from storage.features.formats import write_features
    from storage.features.opening import read_features
    from storage.locks import sole_writer

    keys, rows, metadata = read_features(arguments.features, arguments.width)
    metadata = {**metadata, **_known(arguments)}
    if arguments.view_order == "top_first":
        rows = _bottom_first(rows)
    bar = tqdm(rows, total=len(keys), desc=arguments.output.name, unit=" viewpoints")
    with sole_writer(arguments.output):
        write_features(arguments.output, keys, bar, metadata)
    size = arguments.output.stat().st_size / 1e6
    print(f"{arguments.output}: {len(keys)} viewpoints, {size:.1f} MB")


def _known(arguments: ConvertArguments) -> dict[str, Any]:
    given = {"encoder": arguments.encoder, "channel_order": arguments.channel_order}
    return {name: value for name, value in given.items() if value is not None}


def _bottom_first(rows: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    for row in rows:
        yield np.concatenate([row[24:], row[12:24], row[:12]])


if __name__ == "__main__":
    with friendly_errors():
        main(tyro.cli(ConvertArguments, description=__doc__))
