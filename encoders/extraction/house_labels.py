"""Features of perfect recognition: what the built-in houses know about each view.

They bound what an image encoder can recognise: an agent that is trained on them shows how much a
better encoder could gain.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipnav.encoders.extraction.arguments import HOUSE_LABELS, SourceWorld
from clipnav.encoders.extraction.view_sources import rendering_processes
from clipnav.envs.houses.views.view_facts import Fact, ViewFacts, view_facts

if TYPE_CHECKING:
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas

WIDTH = 256
_KINDS = ("room", "glimpse", "thing")


@dataclass(frozen=True)
class HouseLabels:
    """Features of the views of viewpoints; small and picklable, so that workers can receive it.

    The features of a view are the sum of fixed random directions, one for each fact that clearly
    holds in it: its kind of room, the kinds of rooms that are visible through openings, the
    categories of its objects, and the categories with their colours. Where an object is in a view
    is no part of them.

    Attributes:
        world: "houses" or "houses-standard".
        connectivity_dir: Folder of the navigation graphs; None for those of the built-in houses.
    """

    world: SourceWorld
    connectivity_dir: Path | None = None

    def check_files(self, viewpoints: Sequence[tuple[str, str]]) -> None:
        """Do nothing, because missing houses are built."""

    def load(self, viewpoint: tuple[str, str]) -> np.ndarray:
        """Return the features (36, 256) float32 of the views of a (scan, viewpoint)."""
        from clipnav.envs.houses.rendering.view_objects import view_object_ids

        panoramas, (scan, _) = _panoramas(self), viewpoint
        ids, kinds = view_object_ids(panoramas, *viewpoint), _room_kinds(panoramas, scan)
        objects = panoramas.tracer(scan).scene.objects
        return np.stack([fact_features(view_facts(view, objects, kinds)) for view in ids])

    def pool(self, workers: int) -> Executor:
        """Return the processes that find facts."""
        return rendering_processes(workers)

    @property
    def metadata(self) -> Mapping[str, object]:
        """Metadata of a feature store."""
        from clipnav.envs.houses.rendering.view_objects import PANORAMA_WIDTH, VIEW_SIZE

        return {
            "encoder": HOUSE_LABELS,
            "image_size": [VIEW_SIZE, VIEW_SIZE],
            "world": self.world,
            "panorama_width": PANORAMA_WIDTH,
        }


def fact_features(facts: ViewFacts) -> np.ndarray:
    """Return the features (256,) float32 of a view: the sum of the directions of its facts."""
    known = sorted(fact for fact in facts.holds if fact[0] in _KINDS)
    directions = [_direction(fact) for fact in known]
    return np.array(directions, np.float32).reshape(-1, WIDTH).sum(0)


@cache
def _direction(fact: Fact) -> np.ndarray:
    """Return the direction (256,) float32 of a fact, of length 1, which depends on its words."""
    seed = int.from_bytes(sha256(" ".join(fact).encode()).digest()[:8], "little")
    direction = np.random.default_rng(seed).standard_normal(WIDTH)
    return (direction / np.linalg.norm(direction)).astype(np.float32)


# One entry is enough: each process serves one source, scan by scan.
@lru_cache(maxsize=1)
def _panoramas(source: HouseLabels) -> HousePanoramas:
    from clipnav.envs.houses.rendering.view_objects import object_panoramas

    return object_panoramas(source.connectivity_dir)


@lru_cache(maxsize=2)
def _room_kinds(panoramas: HousePanoramas, scan: str) -> tuple[str, ...]:
    return tuple(room.kind for room in panoramas.house(scan).plan.rooms)
