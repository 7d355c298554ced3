"""Engine of both versions of the interface: poses at the start of episodes and after actions.

The engine stores no agents. It maps poses to new poses, so that a refused action changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from clipnav.connectivity import read_connectivity, read_scans
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.mattersim.settings import SimulatorSettings, check_batch, natural, real, text
from clipnav.envs.mattersim.viewpoints import (
    NOWHERE,
    AgentPose,
    Building,
    BuildingViewpoint,
    building,
)
from clipnav.storage.errors import UserError
from clipnav.storage.features.view_grid import NUM_HEADINGS, NUM_VIEWS, STEP, view_direction

_FULL_TURN = math.pi * 2.0
_DISCRETIZED = tuple(view_direction(view) for view in range(NUM_VIEWS))
"""Heading and elevation of the 36 views."""

_MULTIPLIER = 16807  # of std::default_random_engine
_MODULUS = 2**31 - 1
_SMALLEST, _LARGEST = 1, _MODULUS - 1


def normalized(heading: float) -> float:
    """Return a heading in [0, 2 pi), or 2 pi for tiny negative headings, due to rounding."""
    if not math.isfinite(heading):
        return math.nan
    heading = math.fmod(heading, _FULL_TURN)
    return heading + _FULL_TURN if heading < 0.0 else heading


def snapped(heading: float, elevation: float) -> int:
    """Return the view 0..35 nearest to the angles, with half steps rounded away from zero.

    NaN counts as zero.
    """
    steps = normalized(heading) / STEP
    step = 0 if math.isnan(steps) else int(steps)
    step = (step + (steps - step >= 0.5)) % NUM_HEADINGS
    half = STEP / 2.0
    row = 0 if elevation < -half else 2 if elevation > half else 1
    return row * NUM_HEADINGS + step


def sign(change: float) -> int:
    """Return 1, 0 or -1, and 2 for NaN: indices into `_TURNED`."""
    return 1 if change > 0 else -1 if change < 0 else 0 if change == 0 else 2


def _turned(view: int) -> tuple[tuple[int, ...], ...]:
    row, step = divmod(view, NUM_HEADINGS)
    # In the order of the indices 0, 1, 2 and -1; MatterSim treats NaN as zero.
    steps = step, (step + 1) % NUM_HEADINGS, 0, (step - 1) % NUM_HEADINGS
    rows = row, min(row + 1, 2), 1, max(row - 1, 0)
    return tuple(tuple(r * NUM_HEADINGS + s for r in rows) for s in steps)


_TURNED = tuple(_turned(view) for view in range(NUM_VIEWS))
"""View after a turn, by view, sign of the heading's change and sign of the elevation's change."""


class InvalidActionError(UserError):
    """The index of an action is not in the list of navigable locations."""

    def __init__(self, index: int, environment: int, batch_size: int) -> None:
        super().__init__(
            f"MatterSim: Invalid action index: {index} in environment {environment} of {batch_size}"
        )


class Engine:
    """Buildings and movement rules of one initialised simulator.

    Args:
        settings: Settings of the simulator. As in MatterSim, the camera and the limits of elevation
            may be changed later, and then apply from the next episode or action.
    """

    def __init__(self, settings: SimulatorSettings, listed: bool) -> None:
        self._settings = settings
        self._listed = listed
        self._scans: frozenset[str] | None = None
        self._buildings: dict[str, Building] = {}
        self._records: dict[str, list[tuple[str, bool]]] = {}
        self._min_cosine = settings.min_cosine

    def start(
        self,
        scans: Sequence[str],
        viewpoints: Sequence[str],
        headings: Sequence[float],
        elevations: Sequence[float],
    ) -> list[AgentPose]:
        """Return the poses of agents at the start of an episode."""
        size = self._settings.batch_size
        check_batch("newEpisode", size, scans, viewpoints, headings, elevations)
        self._update_camera()
        return [
            self._make_pose(
                self._viewpoint(text(scans[i]), text(viewpoints[i])),
                real(headings[i]),
                real(elevations[i]),
            )
            for i in range(size)
        ]

    def act(
        self,
        poses: Sequence[AgentPose],
        indices: Sequence[int],
        headings: Sequence[float],
        elevations: Sequence[float],
    ) -> list[AgentPose]:
        """Return the poses after each agent has moved and then turned.

        Args:
            headings: Changes in radians; discretised angles use only the sign.
            elevations: Changes in radians; discretised angles use only the sign.
        """
        check_batch("makeAction", len(poses), indices, headings, elevations)
        viewpoints = _moved(poses, indices)
        if self._settings.min_cosine != self._min_cosine:
            self._update_camera()
            viewpoints = [self._with_current_camera(viewpoint) for viewpoint in viewpoints]
        changes = zip(viewpoints, poses, headings, elevations, strict=False)
        if self._settings.discretized:
            return [
                _discretized(viewpoint, _TURNED[pose.view_index][sign(heading)][sign(elevation)])
                for viewpoint, pose, heading, elevation in changes
            ]
        return [
            self._make_pose(
                viewpoint, pose.heading + real(heading), pose.elevation + real(elevation)
            )
            for viewpoint, pose, heading, elevation in changes
        ]

    def random_viewpoint(self, scan: str, generator: RandomEngine) -> str:
        """Draw an included viewpoint in the same way as MatterSim.

        It draws one record of the scan; if that is excluded, it takes the next included record.
        """
        records = self._scan_records(scan)
        drawn = generator.index(len(records))
        for name, included in records[drawn:] + records[:drawn]:
            if included:
                return name
        raise UserError(f"MatterSim: ScanId: {scan} has no included viewpoints!")

    def _make_pose(
        self, viewpoint: BuildingViewpoint, heading: float, elevation: float
    ) -> AgentPose:
        settings = self._settings
        if settings.discretized:
            return _discretized(viewpoint, snapped(heading, elevation))
        elevation = min(elevation, settings.max_elevation)  # NaN stays NaN
        elevation = max(elevation, settings.min_elevation)
        return AgentPose(viewpoint, normalized(heading), elevation)

    def _update_camera(self) -> None:
        if self._settings.min_cosine != self._min_cosine:
            self._min_cosine = self._settings.min_cosine
            self._buildings.clear()

    def _with_current_camera(self, viewpoint: BuildingViewpoint) -> BuildingViewpoint:
        """Return the same viewpoint under the current camera."""
        assert viewpoint.location is not None
        return self._building(viewpoint.scan_id).viewpoint(viewpoint.location.ix)

    def _viewpoint(self, scan: str, viewpoint: str) -> BuildingViewpoint:
        scan_building = self._building(scan)
        if viewpoint in scan_building.graph:
            return scan_building.find(viewpoint)
        if (viewpoint, False) in self._scan_records(scan):
            raise UserError(
                f"MatterSim: ViewpointId: {viewpoint}, is excluded from the connectivity graph."
            )
        raise UserError(
            f"MatterSim: Could not find viewpointId: {viewpoint}, is viewpoint id valid?"
        )

    def _building(self, scan: str) -> Building:
        if scan not in self._buildings:
            self._check_listed(scan)
            try:
                graph = NavGraph.load(scan, self._settings.connectivity_dir)
            except FileNotFoundError as error:
                path = f"{self._settings.nav_graph_path}/{scan}_connectivity.json"
                suspect = "path" if self._listed else "scan id"
                raise UserError(
                    f"MatterSim: Could not open navigation graph file: {path}, is {suspect} valid?"
                ) from error
            self._buildings[scan] = building(graph, self._min_cosine)
        return self._buildings[scan]

    def _scan_records(self, scan: str) -> list[tuple[str, bool]]:
        """Return the viewpoints of the connectivity file, and whether each is included."""
        self._building(scan)
        if scan not in self._records:
            records = read_connectivity(scan, self._settings.connectivity_dir)
            self._records[scan] = [(record["image_id"], record["included"]) for record in records]
        return self._records[scan]

    def _check_listed(self, scan: str) -> None:
        if not self._listed:
            return
        path = f"{self._settings.nav_graph_path}/scans.txt"
        if self._scans is None:
            try:
                self._scans = frozenset(read_scans(self._settings.connectivity_dir))
            except FileNotFoundError as error:
                raise UserError(
                    f"MatterSim: Could not open list of scans at: {path}, is path valid?"
                ) from error
        if scan not in self._scans:
            error = IndexError("map::at")
            error.add_note(f"Scan '{scan}' is not listed in {path}.")
            raise error


def _moved(poses: Sequence[AgentPose], indices: Sequence[int]) -> list[BuildingViewpoint]:
    """Return the viewpoint of each agent after its move."""
    viewpoints = []
    for pose, given in zip(poses, indices, strict=False):
        index = given if given.__class__ is int and given >= 0 else natural(given)
        if index == 0 and pose is not NOWHERE:
            viewpoints.append(pose.viewpoint)
            continue
        navigable, building = pose.navigable, pose.viewpoint.building
        if index >= len(navigable):
            raise InvalidActionError(index, len(viewpoints), len(poses))
        assert building is not None
        viewpoints.append(building.viewpoint(navigable[index].ix))
    return viewpoints


def _discretized(viewpoint: BuildingViewpoint, view_index: int) -> AgentPose:
    """Return one of the 36 discretised poses of a viewpoint, created on first use."""
    pose = viewpoint.poses[view_index]
    if pose is None:
        pose = AgentPose(viewpoint, *_DISCRETIZED[view_index], view_index)
        viewpoint.poses[view_index] = pose
    return pose


class RandomEngine:
    """Random numbers of MatterSim: minstd_rand0 with the distributions of libstdc++."""

    def __init__(self, seed: int = 1) -> None:
        # A seed is converted to 64 unsigned bits; 0 means 1.
        self._state = seed % 2**64 % _MODULUS or 1

    def copy(self) -> RandomEngine:
        """Return an engine with the same state."""
        return RandomEngine(self._state)

    def index(self, count: int) -> int:
        """Draw an integer in 0..count - 1, as std::uniform_int_distribution<int> does."""
        scaling = (_LARGEST - _SMALLEST) // count
        while True:
            drawn = self._next() - _SMALLEST
            if drawn < count * scaling:
                return drawn // scaling

    def heading(self) -> float:
        """Draw radians in [0, 2 pi), as std::uniform_real_distribution<double> does."""
        size = float(_LARGEST - _SMALLEST + 1)
        low, high = self._next() - _SMALLEST, self._next() - _SMALLEST
        unit = (low + high * size) / (size * size)
        # A value that is rounded up to 1 is outside the range of the distribution.
        return min(unit, math.nextafter(1.0, 0.0)) * (2.0 * math.pi)

    def _next(self) -> int:
        self._state = self._state * _MULTIPLIER % _MODULUS
        return self._state
