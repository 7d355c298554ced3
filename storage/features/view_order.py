"""Infer the view order of a feature file from its features.

Views of similar directions have similar features. The similarities between the rows of a viewpoint
therefore reveal the view order, and two stores of the same viewpoints must agree in them, even if
different encoders made them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from clipnav.storage.errors import UserError
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.view_grid import (
    NUM_BANDS,
    NUM_HEADINGS,
    NUM_VIEWS,
    VIEW_ELEVATIONS,
    VIEW_HEADINGS,
)

_SAMPLE = 64  # viewpoints that are compared
_BAND_NAMES = ("bottom", "middle", "top")
_PAIRS = np.triu_indices(NUM_VIEWS, 1)


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

    This cannot distinguish top from bottom or left from right; `reference_matches` can.
    """
    similarity = np.mean([_similarity(views) for views in _sample(store)], axis=0)
    directions = _directions()
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
    shared = shared[:: max(1, len(shared) // _SAMPLE)][:_SAMPLE]
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
    for upside_down in (False, True):
        bands = np.arange(NUM_BANDS)[::-1] if upside_down else np.arange(NUM_BANDS)
        for backwards in (False, True):
            for shift in range(NUM_HEADINGS):
                steps = np.arange(NUM_HEADINGS) * (-1 if backwards else 1)
                headings = (steps + shift) % NUM_HEADINGS
                rows = (NUM_HEADINGS * bands[:, None] + headings).ravel()
                orders[_order_name(upside_down, backwards, shift)] = rows
    return orders


def _order_name(upside_down: bool, backwards: bool, shift: int) -> str:
    if not (upside_down or backwards or shift):
        return "as expected"
    bands = _BAND_NAMES[::-1] if upside_down else _BAND_NAMES
    direction = "anticlockwise" if backwards else "clockwise"
    return f"{','.join(bands)} x 12 headings {direction}, heading 0 in column {shift}"


def _directions() -> np.ndarray:
    """Return (36, 3) unit vectors, the directions of the views."""
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


def _similarity(views: Any) -> np.ndarray:
    """Return (36, 36) cosine similarities of a viewpoint's views, relative to their mean."""
    centred = views - views.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True) + 1e-6
    return centred @ centred.T


def _correlation(values: np.ndarray, expected: np.ndarray) -> float:
    if values.std() < 1e-9 or expected.std() < 1e-9:
        return 0.0
    return float(np.corrcoef(values, expected)[0, 1])
