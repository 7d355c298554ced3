"""Print the metadata and statistics of a feature file, and check its values and its view order.

$ clipnav inspect-features --features features/rn50.safetensors
$ clipnav inspect-features --features CLIP-ViT-B-32-views.tsv --reference features/rn50.safetensors
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.parsing import parse
from clipnav.storage import file_sha256
from clipnav.storage.errors import UserError
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.shards import shard_paths
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.view_grid import (
    NUM_BANDS,
    NUM_HEADINGS,
    NUM_VIEWS,
    VIEW_ELEVATIONS,
    VIEW_HEADINGS,
)

_SAMPLE = 256  # viewpoints for the statistics
_COMPARED = 64  # viewpoints whose views are compared
_BAND_NAMES = ("bottom", "middle", "top")
_PAIRS = np.triu_indices(NUM_VIEWS, 1)


@dataclass(frozen=True)
class InspectArguments:
    """Inspect a feature store or a feature file of another format."""

    features: Path
    """A .safetensors store, in one file or in shards, or a .tsv, .h5, .hdf5 or .lmdb file."""
    reference: Path | None = None
    """Features of the same viewpoints in the correct order, by any encoder. They are required to
    detect inverted bands or headings."""


@dataclass(frozen=True)
class OrderMatch:
    """Agreement of a view order with the features of a store.

    Attributes:
        order: Description; "as expected" for `clipnav.storage.features.view_grid.VIEW_ORDER`.
        agreement: Correlation of similarities, at most 1.
        rows: (36,) rows of the store, sorted into the expected order.
    """

    order: str
    agreement: float
    rows: np.ndarray


def layout_matches(store: FeatureStore) -> list[OrderMatch]:
    """Return layouts of the rows, sorted by how well feature and direction similarities correlate.

    Views of similar directions have similar features, whatever the encoder. This cannot distinguish
    top from bottom or left from right; `reference_matches` can.
    """
    sample = store.take(np.arange(0, len(store), max(1, len(store) // _COMPARED))[:_COMPARED])
    similarity = np.mean([_similarity(views) for views in sample], axis=0)
    heading, elevation = VIEW_HEADINGS, VIEW_ELEVATIONS
    x, y = np.sin(heading) * np.cos(elevation), np.cos(heading) * np.cos(elevation)
    directions = np.stack([x, y, np.sin(elevation)], axis=1)
    expected = (directions @ directions.T)[_PAIRS]
    rings = np.arange(NUM_VIEWS).reshape(NUM_BANDS, NUM_HEADINGS)
    layouts = {
        "as expected: three rings of twelve headings": rings.ravel(),
        "twelve columns of three elevations": np.arange(NUM_VIEWS)
        .reshape(NUM_HEADINGS, NUM_BANDS)
        .T.ravel(),
        "rings that turn back at their ends": np.stack(
            [ring if band % 2 == 0 else ring[::-1] for band, ring in enumerate(rings)]
        ).ravel(),
    }
    matches = [
        OrderMatch(order, _correlation(similarity[np.ix_(rows, rows)][_PAIRS], expected), rows)
        for order, rows in layouts.items()
    ]
    return sorted(matches, key=lambda match: -match.agreement)


def reference_matches(store: FeatureStore, reference: FeatureStore) -> list[OrderMatch]:
    """Return view orders, sorted by how well they make a store agree with a reference.

    The candidates are all orders of three rings: bands from bottom or from top, headings clockwise
    or anticlockwise, and any first heading.

    Args:
        reference: Store of the expected order with some of the same viewpoints; its encoder and
            width may differ.
    """
    shared = [key for key in store.keys if key in reference]
    if not shared:
        raise UserError(
            f"{store.path} and {reference.path} have no viewpoint in common; name another reference"
        )
    shared = shared[:: max(1, len(shared) // _COMPARED)][:_COMPARED]
    similarities = [_similarity(views) for views in _take(store, shared)]
    expected = [_similarity(views) for views in _take(reference, shared)]
    target = np.concatenate([similarity[_PAIRS] for similarity in expected])
    matches = []
    for order, rows in _ring_orders().items():
        pairs = [similarity[np.ix_(rows, rows)][_PAIRS] for similarity in similarities]
        matches.append(OrderMatch(order, _correlation(np.concatenate(pairs), target), rows))
    return sorted(matches, key=lambda match: -match.agreement)


def _ring_orders() -> dict[str, np.ndarray]:
    orders = {}
    for bands in (np.arange(NUM_BANDS), np.arange(NUM_BANDS)[::-1]):
        for direction, sign in (("clockwise", 1), ("anticlockwise", -1)):
            for shift in range(NUM_HEADINGS):
                headings = (sign * np.arange(NUM_HEADINGS) + shift) % NUM_HEADINGS
                rows = (NUM_HEADINGS * bands[:, None] + headings).ravel()
                names = ",".join(_BAND_NAMES[band] for band in bands)
                order = f"{names} x 12 headings {direction}, heading 0 in column {shift}"
                orders["as expected" if rows[0] == 0 and rows[1] == 1 else order] = rows
    return orders


def _take(store: FeatureStore, keys: list[str]) -> np.ndarray:
    rows = {key: row for row, key in enumerate(store.keys)}
    return store.take(np.array([rows[key] for key in keys]))


def _similarity(views: Any) -> np.ndarray:
    """Return (36, 36) cosine similarities of a viewpoint's views, relative to their mean."""
    centred = views - views.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True) + 1e-6
    return centred @ centred.T


def _correlation(values: np.ndarray, expected: np.ndarray) -> float:
    if values.std() < 1e-9 or expected.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(values, expected)[0, 1])


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and run the command."""
    config = parse(InspectArguments, __name__, __doc__, arguments)
    path, store = config.features, open_store(config.features)
    reference = None if config.reference is None else open_store(config.reference)
    print(f"{path}")
    print("  metadata:")
    for name, value in store.metadata.items():
        print(f"    {name:<22} {value}")
    store.check_finite(np.arange(len(store)))
    views = store.take(np.arange(0, len(store), max(1, len(store) // _SAMPLE)))
    norms = np.linalg.norm(views, axis=2)
    statistics = {
        "viewpoints": f"{len(store)} of {len({k.rpartition('_')[0] for k in store.keys})} scans",
        "width of a view": store.width,
        "norm of a view": f"{norms.mean():.4g}, standard deviation {norms.std():.4g}",
        "zero views": f"{(norms == 0).mean():.1%}",
    }
    for file in [path] if path.is_file() else shard_paths(path):
        statistics[f"SHA-256 of {file.name}"] = file_sha256(file)
    for name, value in statistics.items():
        print(f"  {name:<24} {value}")
    print("  layout of the rows, by the similarity of neighbouring views:")
    for match in layout_matches(store):
        print(f"    {match.agreement:+.3f}  {match.order}")
    if reference is not None:
        print(f"  order of the rows, compared with {config.reference}:")
        for match in reference_matches(store, reference)[:3]:
            print(f"    {match.agreement:+.3f}  {match.order}")
