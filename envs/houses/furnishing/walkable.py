"""Walkable floor of a room: a grid that checks whether furniture divides it."""

from collections.abc import Iterable, Sequence

import numpy as np

from clipnav.envs.houses.plan.floor_plan import WALL_HALF_THICKNESS, Opening

CELL = 0.05
CLEARANCE = 0.2  # half of the narrowest walkable width
PASSAGE_CLEARANCE = 0.26  # minimum clearance of the routes between doors
STANDING_RADIUS = 0.5  # of the open area that every room needs
LARGEST_POCKET = 0.04  # m2 of floor that may be unreachable, as in a corner between two curtains
PAD = 0.4


class WalkableFloor:
    """Free cells of one room, with a short piece of floor behind each of its passages."""

    def __init__(
        self, inner: tuple[float, float, float, float], passages: Sequence[Opening]
    ) -> None:
        self.origin = np.array(inner[:2]) - PAD
        shape = np.ceil((np.array(inner[2:]) + PAD - self.origin) / CELL).astype(int)
        self.free = np.zeros(shape, dtype=bool)
        self._set(inner, True)
        self.indoors = self.free.copy()
        self.thresholds: list[tuple[slice, slice]] = []
        for passage in passages:
            reach = PAD + 2 * WALL_HALF_THICKNESS
            along, across = (passage.start, passage.end), passage.position
            if passage.axis == "x":
                box = (along[0], across - reach, along[1], across + reach)
            else:
                box = (across - reach, along[0], across + reach, along[1])
            self._set(box, True)
            low, high = self._cells((box[0], box[1])), self._cells((box[2], box[3]))
            at = self._cells(passage.centre)
            if passage.axis == "x":
                self.thresholds.append((slice(low[0], high[0]), slice(at[1], at[1] + 1)))
            else:
                self.thresholds.append((slice(at[0], at[0] + 1), slice(low[1], high[1])))

    def _cells(self, point: Sequence[float]) -> np.ndarray:
        return np.floor((np.asarray(point) - self.origin) / CELL + 1e-6).astype(int)

    def _set(self, box: Sequence[float], value: bool, grid: np.ndarray | None = None) -> None:
        low = np.maximum(np.floor((np.asarray(box[:2]) - self.origin) / CELL + 1e-6), 0)
        high = np.ceil((np.asarray(box[2:]) - self.origin) / CELL - 1e-6)
        x0, y0, x1, y1 = (int(v) for v in (*low, *np.maximum(high, 0)))
        (self.free if grid is None else grid)[x0:x1, y0:y1] = value

    def block(self, box: Sequence[float]) -> None:
        """Remove a box of floor permanently."""
        self._set(box, False)

    def stays_walkable(self, boxes: Iterable[Sequence[float]] = ()) -> bool:
        """Return whether the floor stays walkable if these boxes are blocked too.

        It must be one connected region at `CLEARANCE`, join all passages at `PASSAGE_CLEARANCE` and
        contain an open area of `STANDING_RADIUS`.
        """
        grid = self.free.copy()
        for box in boxes:
            self._set(box, False, grid)
        clearance = _clearance(grid)
        open_places = self.indoors & (clearance >= STANDING_RADIUS)
        areas = np.bincount(_pieces(clearance >= CLEARANCE).ravel())[1:] * CELL**2
        if not len(areas) or areas.sum() - areas.max() > LARGEST_POCKET:
            return False
        wide = _pieces(clearance >= PASSAGE_CLEARANCE)
        at_passages = {int(wide[threshold].max()) for threshold in self.thresholds}
        standing = set(np.unique(wide[open_places]))
        return 0 not in at_passages and len(at_passages) == 1 and bool(at_passages & standing)


def _clearance(free: np.ndarray) -> np.ndarray:
    """Return the distance in metres from each free cell to the nearest blocked cell."""
    from scipy import ndimage

    return np.asarray(ndimage.distance_transform_edt(free)) * CELL - CELL / 2


def _pieces(mask: np.ndarray) -> np.ndarray:
    """Return the label of the connected piece of each cell, from 1; 0 where the mask is False."""
    from scipy import ndimage

    labels = np.zeros(mask.shape, dtype=np.int32)
    ndimage.label(mask, structure=np.ones((3, 3)), output=labels)
    return labels
