"""Print the metadata and statistics of a feature file, and check its values and its view order.

$ clipnav inspect-features --features features/rn50.safetensors
$ clipnav inspect-features --features CLIP-ViT-B-32-views.tsv --reference features/rn50.safetensors
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipnav.parsing import parse

if TYPE_CHECKING:
    from clipnav.storage.features.store import FeatureStore

_SAMPLE = 256  # viewpoints for the statistics


@dataclass(frozen=True)
class InspectArguments:
    """Inspect a feature store or a feature file of another format."""

    features: Path
    """A .safetensors store, in one file or in shards, or a .tsv, .h5, .hdf5 or .lmdb file."""
    reference: Path | None = None
    """Features of the same viewpoints in the correct order, by any encoder. They are required to
    detect inverted bands or headings."""


def run(arguments: InspectArguments) -> None:
    """Run the command."""
    from clipnav.storage.features.opening import open_store
    from clipnav.storage.features.view_order import layout_matches, reference_matches

    store = open_store(arguments.features)
    reference = None if arguments.reference is None else open_store(arguments.reference)
    print(f"{arguments.features}")
    print("  metadata:")
    for name, value in store.metadata.items():
        print(f"    {name:<22} {value}")
    store.check_finite(np.arange(len(store)))
    for name, value in _statistics(arguments.features, store).items():
        print(f"  {name:<24} {value}")
    print("  layout of the rows, by the similarity of neighbouring views:")
    for match in layout_matches(store):
        print(f"    {match.agreement:+.3f}  {match.order}")
    if reference is not None:
        print(f"  order of the rows, compared with {arguments.reference}:")
        for match in reference_matches(store, reference)[:3]:
            print(f"    {match.agreement:+.3f}  {match.order}")


def _statistics(path: Path, store: "FeatureStore") -> dict[str, str]:
    from clipnav.storage import file_sha256
    from clipnav.storage.features.shards import shard_paths

    views = store.take(np.arange(0, len(store), max(1, len(store) // _SAMPLE)))
    norms = np.linalg.norm(views, axis=2)
    files = [path] if path.is_file() else shard_paths(path)
    scans = {key.rpartition("_")[0] for key in store.keys}
    return {
        "viewpoints": f"{len(store)} of {len(scans)} scans",
        "width of a view": str(store.width),
        "norm of a view": f"{norms.mean():.4g}, standard deviation {norms.std():.4g}",
        "zero views": f"{(norms == 0).mean():.1%}",
        **{f"SHA-256 of {file.name}": file_sha256(file) for file in files},
    }


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    run(parse(InspectArguments, __name__, __doc__, arguments))
