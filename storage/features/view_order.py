"""Which view stands in which row: checked on the features themselves.

Views that look in like directions show much the same, so their features are alike. How alike the
rows of a viewpoint are to each other therefore tells how they are laid out, and two stores of the
same viewpoints must agree in it, whatever encoders made them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from storage.features.store import FeatureStore
from storage.features.view_grid import (
    NUM_BANDS,
    NUM_HEADINGS,
    NUM_VIEWS,
    VIEW_ELEVATIONS,
    VIEW_HEADINGS,
)

_SAMPLE = 64  # viewpoints that are looked at
_BAND_NAMES = ("bottom", "middle", "top")
_PAIRS = np.triu_indices(NUM_VIEWS, 1)


@dataclass(frozen=True)
class OrderMatch:
    """How well an order explains a store.

    Attributes:
        order: In words; "as expected" for `storage.features.store.VIEW_ORDER`.
        agreement: Correlation, 1 at best.
        rows: (36,) rows of the store in the expected order.
    """

    order: str
    agreement: float
    rows: np.ndarray


def layout_matches(store: FeatureStore) -> list[OrderMatch]:
    """Layouts, the best first, by whether like directions have like features.

    Features alone cannot tell top from bottom nor left from right; `reference_matches` can.
    """
    likeness = np.mean([_likeness(views) for views in _sample(store)], axis=0)
    directions = _directions()
    expected = (directions @ directions.T)[_PAIRS]
    rows = np.arange(NUM_VIEWS).reshape(NUM_BANDS, NUM_HEADINGS)
    layouts = {
        "as expected: three rings of twelve headings": rows.ravel(),
        "twelve columns of three elevations": np.arange(NUM_VIEWS)
        .reshape(NUM_HEADINGS, NUM_BANDS)
        .T.ravel(),
        "rings that turn back at their ends": np.stack(
            [ring if band % 2 == 0 else ring[::-1] for band, ring in enumerate(rows)]
        ).ravel(),
    }
    matches = [
        OrderMatch(order, _correlation(likeness[np.ix_(found, found)][_PAIRS], expected), found)
        for order, found in layouts.items()
    ]
    return sorted(matches, key=lambda match: -match.agreement)


def reference_matches(store: FeatureStore, reference: FeatureStore) -> list[OrderMatch]:
    """Orders, the best first, by whether they make a store like one whose order is right.

    Tried are all orders of rings in which bands may be upside down, headings run the other way
    round, and start anywhere.

    Args:
        store: In question.
        reference: A store that shares viewpoints with it; of any encoder and width.

    Raises:
        ValueError: They share no viewpoints.
    """
    shared = [key for key in store.keys if key in reference]
    if not shared:
        raise ValueError(f"{store.path} and {reference.path} have no viewpoint in common")
    shared = shared[:: max(1, len(shared) // _SAMPLE)][:_SAMPLE]
    mine = [_likeness(view) for view in _take(store, shared)]
    right = [_likeness(view) for view in _take(reference, shared)]
    target = np.concatenate([likeness[_PAIRS] for likeness in right])
    matches = []
    for order, rows in _ring_orders().items():
        pairs = np.concatenate([likeness[np.ix_(rows, rows)][_PAIRS] for likeness in mine])
        matches.append(OrderMatch(order, _correlation(pairs, target), rows))
    return sorted(matches, key=lambda match: -match.agreement)


def _ring_orders() -> dict[str, np.ndarray]:
    orders = {}
    for upside_down in (False, True):
        bands = np.arange(NUM_BANDS)[::-1] if upside_down else np.arange(NUM_BANDS)
        for backwards in (False, True):
            for shift in range(NUM_HEADINGS):
                steps = np.arange(NUM_HEADINGS) * (-1 if backwards else 1)
                headings = (steps + shift) % NUM_HEADINGS
                rows = (NUM_HEADINGS * bands[:, None] + headings).ravel()
                orders[_described(upside_down, backwards, shift)] = rows
    return orders


def _described(upside_down: bool, backwards: bool, shift: int) -> str:
    if not (upside_down or backwards or shift):
        return "as expected"
    bands = _BAND_NAMES[::-1] if upside_down else _BAND_NAMES
    way = "anticlockwise" if backwards else "clockwise"
    return f"{','.join(bands)} x 12 headings {way}, heading 0 in column {shift}"


def _directions() -> np.ndarray:
    """(36, 3) unit vectors along which the views look."""
    heading, elevation = VIEW_HEADINGS, VIEW_ELEVATIONS
    return np.stack(
        [
            np.sin(heading) * np.cos(elevation),
            np.cos(heading) * np.cos(elevation),
            np.sin(elevation),
        ],
        axis=1,
    )


def _sample(store: FeatureStore) -> np.ndarray:
    step = max(1, len(store) // _SAMPLE)
    return store.take(np.arange(0, len(store), step)[:_SAMPLE])


def _take(store: FeatureStore, keys: list[str]) -> np.ndarray:
    rows = {key: row for row, key in enumerate(store.keys)}
    return store.take(np.array([rows[key] for key in keys]))


def _likeness(views: Any) -> np.ndarray:
    """(36, 36) cosines of a viewpoint's views, about their mean."""
    centred = views - views.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True) + 1e-6
    return centred @ centred.T


def _correlation(found: np.ndarray, expected: np.ndarray) -> float:
    if found.std() < 1e-9 or expected.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(found, expected)[0, 1])
