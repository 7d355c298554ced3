"""Objects of a world for the map agent: their panorama tokens, and the tokens of target objects."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.learning.object_targets import ObjectTargets
from clipnav.agents.maps.experts import NO_TARGET
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.envs.navigation.objects import WorldObjects

OBJECT = 2  # type of a panorama token


@dataclass(frozen=True, eq=False)
class NodeObjects:
    """The N objects that the V viewpoints of a world see; an object counts once per viewpoint.

    Attributes:
        starts: (V,) row of the first object of each viewpoint.
        counts: (V,) number of objects of each viewpoint.
        features: (N, D) visual features.
        directions: (N, 2) heading and elevation of each object in radians, absolute.
        sizes: (N, 3) height and width of its box as shares of a view, and their product.
        ids: (N,) id of each object.
    """

    starts: np.ndarray
    counts: np.ndarray
    features: Tensor
    directions: np.ndarray
    sizes: np.ndarray
    ids: Sequence[str]

    @classmethod
    def of(cls, objects: WorldObjects, device: torch.device | str = "cpu") -> "NodeObjects":
        """Copy the objects of a world to a device."""
        counts, seen = objects.mask.sum(1), objects.mask
        features = np.asarray(objects.store.features)[objects.rows[seen]]
        return cls(
            np.cumsum(counts) - counts,
            counts,
            torch.from_numpy(features).to(device),
            objects.directions[seen],
            objects.sizes[seen][:, [1, 0, 2]],
            objects.ids[seen].tolist(),
        )

    @property
    def width(self) -> int:
        """Width of the features."""
        return self.features.shape[1]

    def limited(self, most: int | None) -> "NodeObjects":
        """Return the first objects of each viewpoint; all of them if the number is None."""
        if most is None:
            return self
        return replace(self, counts=np.minimum(self.counts, most))

    def ids_of(self, node: int) -> Sequence[str]:
        """Return the ids of the objects of a viewpoint."""
        start = int(self.starts[node])
        return self.ids[start : start + int(self.counts[node])]


class PanoramaLayout(NamedTuple):
    """Places of the tokens of P panoramas: candidates, objects, other views, padding.

    Attributes:
        sources: (P, V) place of each view among the tokens of `MapGeometry`; arbitrary for objects.
        rows: (P, V) row of each object; -1 for views and padding.
        mask: (P, V) bool, False on padding.
    """

    sources: np.ndarray
    rows: np.ndarray
    mask: np.ndarray


def panorama_layout(
    geometry: MapGeometry, objects: NodeObjects, nodes: np.ndarray
) -> PanoramaLayout:
    """Return the places of the panorama tokens of viewpoints (P,).

    DUET puts the objects last. After the candidates, all tokens that are scored come first.
    """
    candidates, counts = (
        table[nodes][:, None] for table in (geometry.candidate_counts, objects.counts)
    )
    views = geometry.token_counts[nodes][:, None]
    tokens = np.arange(int((views + counts).max()))
    is_object = (tokens >= candidates) & (tokens < candidates + counts)
    sources = np.where(tokens < candidates, tokens, tokens - counts)
    rows = objects.starts[nodes][:, None] + tokens - candidates
    return PanoramaLayout(
        np.clip(sources, 0, int(views.max()) - 1),
        np.where(is_object, rows, -1),
        tokens < views + counts,
    )


def target_tokens(
    targets: ObjectTargets, geometry: MapGeometry, episodes: np.ndarray, nodes: np.ndarray
) -> np.ndarray:
    """Return the (R,) panorama tokens of the target objects; `NO_TARGET` where there is none.

    Args:
        episodes: (R,) episodes; -1 has no target.
        nodes: (R,) viewpoints.
    """
    ranks = targets.ranks(episodes, nodes)
    return np.where(ranks < 0, NO_TARGET, geometry.candidate_counts[nodes] + ranks)


def best_objects(scores: Tensor, candidates: np.ndarray) -> np.ndarray:
    """Return the (R,) ranks of the objects with the highest logits (R, F); -1 without objects.

    Args:
        candidates: (R,) number of candidates of each viewpoint, which come first.
    """
    if not scores.shape[1]:
        return np.full(len(scores), -1)
    best, token = scores.detach().float().max(1)
    found = torch.isfinite(best).cpu().numpy()
    return np.where(found, token.cpu().numpy() - candidates, -1)
