"""Places in a building and what is navigable from them, in MatterSim's own arithmetic.

MatterSim v0.2 (`populateNavigable` in MatterSim.cpp) computes positions, lengths and the direction
of the camera in 32-bit floats and angles partly in 64 bits. Which neighbours are visible and how
they are ordered follows from the rounded numbers, so each rounding is made where it makes it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from struct import Struct
from typing import NamedTuple

import numpy as np

from envs.graphs.nav_graph import NavGraph
from storage.features.view_grid import NUM_VIEWS

# Scans times cameras of which the places are kept: the 90 of Matterport3D under two cameras.
_KEPT_BUILDINGS = 256

_FLOAT32 = Struct("f")


class ViewPoint(NamedTuple):
    """A place that can be moved to, seen from where the agent stands.

    Attributes:
        viewpointId: Its name.
        ix: Its record in the connectivity file.
        x: Metres.
        y: Metres.
        z: Metres, up.
        rel_heading: Radians to the right of the centre of the image.
        rel_elevation: Radians above the centre of the image.
        rel_distance: Metres from the agent.
    """

    viewpointId: str
    ix: int
    x: float
    y: float
    z: float
    rel_heading: float
    rel_elevation: float
    rel_distance: float


class _Neighbour(NamedTuple):
    """What of a neighbour does not depend on the camera; `elevation` is above the horizon."""

    viewpoint_id: str
    ix: int
    x: float
    y: float
    z: float
    elevation: float
    distance: float


class Place:
    """A viewpoint of a building, with its 36 discretised views as far as they have been seen.

    A place without a building is one that came out of a pickle: it has a name and no neighbours.
    """

    __slots__ = ("_east", "_neighbours", "_north", "building", "location", "scan_id", "views")

    def __init__(
        self, scan_id: str, location: ViewPoint | None, building: Building | None = None
    ) -> None:
        self.scan_id = scan_id
        self.location = location
        self.building = building
        self.views: list[View | None] = [None] * NUM_VIEWS
        self._neighbours: list[_Neighbour] | None = None

    def __reduce__(self) -> tuple[type[Place], tuple[str, ViewPoint | None]]:
        return Place, (self.scan_id, self.location)

    def navigable(self, heading: float, elevation: float) -> tuple[ViewPoint, ...]:
        """Places to move to when looking along these angles (radians), in MatterSim's order.

        The first is this place itself; the others follow by their angle from the centre of the
        image. The elevation changes that angle but not what is visible.
        """
        if self.building is None or self.location is None:
            raise RuntimeError("a place that came out of a pickle has no neighbours to look up")
        if self._neighbours is None:
            self._neighbours, self._east, self._north = self.building.neighbourhood(self.location)
        if not self._neighbours:
            return (self.location,)
        x, y = _camera_direction(heading)
        cosines, aheads, asides = (self._east * x + self._north * y).tolist()
        min_cosine = self.building.min_cosine
        seen = []
        for neighbour, cosine, ahead, aside in zip(
            self._neighbours, cosines, aheads, asides, strict=True
        ):
            if min_cosine is None or cosine >= min_cosine:
                viewpoint_id, ix, x, y, z, above_horizon, distance = neighbour
                rel_heading = _rounded(math.atan2(aside, ahead))
                rel_elevation = above_horizon - elevation
                angle = math.sqrt(rel_heading * rel_heading + rel_elevation * rel_elevation)
                viewpoint = ViewPoint(
                    viewpoint_id, ix, x, y, z, rel_heading, rel_elevation, distance
                )
                seen.append((angle, viewpoint))
        # Stable, as std::sort is on up to 16 entries; a neighbour at angle 0 stays behind "stay".
        if len(seen) > 1:
            seen.sort(key=itemgetter(0))
        return (self.location, *[viewpoint for _, viewpoint in seen])


class View:
    """Where an agent stands and looks: all of a state but its step and its pictures.

    Attributes:
        place: Where it stands.
        heading: Radians clockwise from +y.
        elevation: Radians above the horizon.
        view_index: 12 * band + heading step when angles are discretised, else 0.
    """

    __slots__ = ("_navigable", "elevation", "heading", "place", "view_index")

    def __init__(
        self,
        place: Place,
        heading: float,
        elevation: float,
        view_index: int = 0,
        navigable: tuple[ViewPoint, ...] | None = None,
    ) -> None:
        self.place = place
        self.heading = heading
        self.elevation = elevation
        self.view_index = view_index
        self._navigable = navigable

    @property
    def navigable(self) -> tuple[ViewPoint, ...]:
        """Places to move to from here, looked up when first asked for."""
        if self._navigable is None:
            self._navigable = self.place.navigable(self.heading, self.elevation)
        return self._navigable

    def __reduce__(self) -> tuple[type[View], tuple[object, ...]]:
        state = self.place, self.heading, self.elevation, self.view_index, self.navigable
        return View, state


NOWHERE = View(Place("", None), 0.0, 0.0, 0, ())
"""The view of an agent whose first episode has not begun."""


class Building:
    """The places of one navigation graph under a camera of one field of view.

    Attributes:
        graph: The navigation graph.
        min_cosine: Of the angle between camera and neighbour, seen from above, at which the
            neighbour is still visible; None where all neighbours are.
    """

    def __init__(self, graph: NavGraph, min_cosine: float | None) -> None:
        self.graph = graph
        self.min_cosine = min_cosine
        self._positions = graph.positions.astype(np.float32)
        self._records: list[int] = graph.record_indices.tolist()
        self._rows = {record: row for row, record in enumerate(self._records)}
        self._places: dict[int, Place] = {}

    def place(self, ix: int) -> Place:
        """Place of a record of the connectivity file.

        Raises:
            KeyError: There is no such record, or it is excluded from navigation.
        """
        if ix not in self._places:
            row = self._rows[ix]
            x, y, z = self._positions[row].tolist()
            here = ViewPoint(self.graph.viewpoint_ids[row], ix, x, y, z, 0.0, 0.0, 0.0)
            self._places[ix] = Place(self.graph.scan, here, self)
        return self._places[ix]

    def find(self, viewpoint_id: str) -> Place:
        """Place of a viewpoint.

        Raises:
            KeyError: There is no such viewpoint, or it is excluded from navigation.
        """
        return self.place(self._records[self.graph.index(viewpoint_id)])

    def neighbourhood(self, here: ViewPoint) -> tuple[list[_Neighbour], np.ndarray, np.ndarray]:
        """The n neighbours of a place in file order, and their directions seen from above.

        Directions are (3, n) float32 parts along x and along y: of the unit vector, the offset, and
        the offset turned by 90 degrees. Their products with a camera's direction are the cosine of
        the angle between, and how far ahead and aside the neighbour is.
        """
        row = self._rows[here.ix]
        rows = np.flatnonzero(self.graph.adjacency[row])
        offsets = self._positions[rows] - self._positions[row]
        x, y, z = offsets.T
        flat_squares = x * x + y * y
        flat = np.sqrt(flat_squares).tolist()
        distances = np.sqrt(flat_squares + z * z).tolist()
        with np.errstate(divide="ignore", invalid="ignore"):
            # Straight above or below there is no direction; NaN is never visible, as in MatterSim.
            scale = np.float32(1) / np.sqrt(flat_squares)
            east, north = np.array([[x * scale, x, -y], [y * scale, y, x]])
        neighbours = [
            _Neighbour(
                self.graph.viewpoint_ids[i],
                self._records[i],
                *self._positions[i].tolist(),
                elevation=math.atan2(rise, length),
                distance=distance,
            )
            for i, rise, length, distance in zip(rows, z.tolist(), flat, distances, strict=True)
        ]
        return neighbours, east, north


@lru_cache(maxsize=_KEPT_BUILDINGS)
def building(graph: NavGraph, min_cosine: float | None) -> Building:
    """The building of a graph, one for all simulators that look at it through the same camera."""
    return Building(graph, min_cosine)


@lru_cache(maxsize=64)
def _camera_direction(heading: float) -> tuple[np.ndarray, np.ndarray]:
    """The camera's x and y seen from above, float32."""
    angle = math.pi / 2.0 - heading
    # Arrays without dimensions: NumPy multiplies by them twice as fast as by its scalars.
    return np.array(math.cos(angle), np.float32), np.array(math.sin(angle), np.float32)


def _rounded(
    value: float,
    pack: Callable[[float], bytes] = _FLOAT32.pack,
    unpack: Callable[[bytes], Sequence[float]] = _FLOAT32.unpack,
) -> float:
    """The nearest 32-bit float."""
    return unpack(pack(value))[0]
