"""Viewpoints of a building and their navigable locations, in the arithmetic of MatterSim.

MatterSim v0.2 (`populateNavigable` in MatterSim.cpp) computes positions, lengths and the direction
of the camera in 32-bit floats and angles partly in 64 bits. The rounded numbers determine which
neighbours are visible and their order, so this module rounds at the same points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from struct import Struct
from typing import NamedTuple

import numpy as np

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.storage.features.view_grid import NUM_VIEWS

# Number of cached buildings: the 90 scans of Matterport3D under two cameras, and a margin.
_KEPT_BUILDINGS = 256

_FLOAT32 = Struct("f")


class ViewPoint(NamedTuple):
    """Navigable location relative to the pose of an agent.

    Attributes:
        viewpointId: Id of the viewpoint.
        ix: Index of its record in the connectivity file.
        x: x coordinate in metres.
        y: y coordinate in metres.
        z: z coordinate (up) in metres.
        rel_heading: Radians to the right of the centre of the image.
        rel_elevation: Radians above the centre of the image.
        rel_distance: Distance from the agent in metres.
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
    """Values of a neighbour that do not depend on the camera; `elevation` is above the horizon."""

    viewpoint_id: str
    ix: int
    x: float
    y: float
    z: float
    elevation: float
    distance: float


class BuildingViewpoint:
    """Viewpoint of a building, with a cache of its 36 discretised poses.

    A viewpoint that was unpickled has no building, and hence no neighbours.
    """

    __slots__ = ("_east", "_neighbours", "_north", "building", "location", "poses", "scan_id")

    def __init__(
        self, scan_id: str, location: ViewPoint | None, building: Building | None = None
    ) -> None:
        self.scan_id = scan_id
        self.location = location
        self.building = building
        self.poses: list[AgentPose | None] = [None] * NUM_VIEWS
        self._neighbours: list[_Neighbour] | None = None

    def __reduce__(self) -> tuple[type[BuildingViewpoint], tuple[str, ViewPoint | None]]:
        return BuildingViewpoint, (self.scan_id, self.location)

    def navigable(self, heading: float, elevation: float) -> tuple[ViewPoint, ...]:
        """Return the navigable locations under a heading and elevation (radians), in order.

        The first is this viewpoint; the others are sorted by their angle from the centre of the
        image. The elevation changes that angle, but not which neighbours are visible.
        """
        if self.building is None or self.location is None:
            raise RuntimeError("an unpickled viewpoint has no neighbours")
        if self._neighbours is None:
            self._neighbours, self._east, self._north = self.building.neighbourhood(self.location)
        if not self._neighbours:
            return (self.location,)
        x, y = _camera_direction(heading)
        cosines, aheads, asides = (self._east * x + self._north * y).tolist()
        min_cosine = self.building.min_cosine
        visible = []
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
                visible.append((angle, viewpoint))
        # Stable, like std::sort on up to 16 entries; a neighbour at angle 0 stays after "stay".
        if len(visible) > 1:
            visible.sort(key=itemgetter(0))
        return (self.location, *[viewpoint for _, viewpoint in visible])


class AgentPose:
    """Viewpoint and direction of an agent: its state without the step and the images.

    Attributes:
        viewpoint: Viewpoint of the agent.
        heading: Radians clockwise from +y.
        elevation: Radians above the horizon.
        view_index: 12 * elevation step + heading step for discretised angles, otherwise 0.
    """

    __slots__ = ("_navigable", "elevation", "heading", "view_index", "viewpoint")

    def __init__(
        self,
        viewpoint: BuildingViewpoint,
        heading: float,
        elevation: float,
        view_index: int = 0,
        navigable: tuple[ViewPoint, ...] | None = None,
    ) -> None:
        self.viewpoint = viewpoint
        self.heading = heading
        self.elevation = elevation
        self.view_index = view_index
        self._navigable = navigable

    @property
    def navigable(self) -> tuple[ViewPoint, ...]:
        """Navigable locations, computed on first access."""
        if self._navigable is None:
            self._navigable = self.viewpoint.navigable(self.heading, self.elevation)
        return self._navigable

    def __reduce__(self) -> tuple[type[AgentPose], tuple[object, ...]]:
        state = self.viewpoint, self.heading, self.elevation, self.view_index, self.navigable
        return AgentPose, state


NOWHERE = AgentPose(BuildingViewpoint("", None), 0.0, 0.0, 0, ())
"""Pose of an agent before its first episode."""


class Building:
    """Viewpoints of one navigation graph under a camera with a fixed field of view.

    Attributes:
        graph: The navigation graph.
        min_cosine: Smallest cosine of the horizontal angle between camera and neighbour at which
            the neighbour is visible; None if all neighbours are visible.
    """

    def __init__(self, graph: NavGraph, min_cosine: float | None) -> None:
        self.graph = graph
        self.min_cosine = min_cosine
        self._positions = graph.positions.astype(np.float32)
        self._records: list[int] = graph.record_indices.tolist()
        self._rows = {record: row for row, record in enumerate(self._records)}
        self._viewpoints: dict[int, BuildingViewpoint] = {}

    def viewpoint(self, ix: int) -> BuildingViewpoint:
        """Return the viewpoint of a record of the connectivity file."""
        if ix not in self._viewpoints:
            row = self._rows[ix]
            x, y, z = self._positions[row].tolist()
            here = ViewPoint(self.graph.viewpoint_ids[row], ix, x, y, z, 0.0, 0.0, 0.0)
            self._viewpoints[ix] = BuildingViewpoint(self.graph.scan, here, self)
        return self._viewpoints[ix]

    def find(self, viewpoint_id: str) -> BuildingViewpoint:
        """Return the viewpoint with an id."""
        return self.viewpoint(self._records[self.graph.index(viewpoint_id)])

    def neighbourhood(self, here: ViewPoint) -> tuple[list[_Neighbour], np.ndarray, np.ndarray]:
        """Return the n neighbours of a viewpoint in file order, and their horizontal directions.

        The directions are two (3, n) float32 arrays with the x and y components of the unit vector,
        of the offset, and of the offset rotated by 90 degrees. Their products with the direction of
        a camera are the cosine of the angle between both, and the distances of the neighbour ahead
        and aside.
        """
        row = self._rows[here.ix]
        rows = np.flatnonzero(self.graph.adjacency[row])
        offsets = self._positions[rows] - self._positions[row]
        x, y, z = offsets.T
        flat_squares = x * x + y * y
        flat = np.sqrt(flat_squares).tolist()
        distances = np.sqrt(flat_squares + z * z).tolist()
        with np.errstate(divide="ignore", invalid="ignore"):
            # A neighbour straight above or below has direction NaN, which is never visible, as in
            # MatterSim.
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
    """Return the building of a graph, shared by all simulators with the same camera."""
    return Building(graph, min_cosine)


@lru_cache(maxsize=64)
def _camera_direction(heading: float) -> tuple[np.ndarray, np.ndarray]:
    """Return x and y of the camera's horizontal direction, float32."""
    angle = math.pi / 2.0 - heading
    # NumPy multiplies by 0-dimensional arrays twice as fast as by scalars.
    return np.array(math.cos(angle), np.float32), np.array(math.sin(angle), np.float32)


def _rounded(
    value: float,
    pack: Callable[[float], bytes] = _FLOAT32.pack,
    unpack: Callable[[bytes], Sequence[float]] = _FLOAT32.unpack,
) -> float:
    """Return the nearest 32-bit float."""
    return unpack(pack(value))[0]
