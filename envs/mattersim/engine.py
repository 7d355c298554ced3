"""The engine under both versions of the interface: agents that start, move and turn.

It holds no agents. Views go in and new views come out, so that a refused action changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

from connectivity import read_connectivity, read_scans
from envs.graphs.nav_graph import NavGraph
from envs.mattersim.angles import DISCRETIZED, TURNED, clamped, normalized, sign, snapped
from envs.mattersim.arguments import check_batch, natural, real, text
from envs.mattersim.places import NOWHERE, Building, Place, View, building
from envs.mattersim.random_engine import RandomEngine
from envs.mattersim.settings import Settings


class InvalidActionError(ValueError):
    """An action names a navigable location that there is not."""

    def __init__(self, index: int, environment: int, batch_size: int) -> None:
        super().__init__(
            f"MatterSim: Invalid action index: {index} in environment {environment} of {batch_size}"
        )


class Engine:
    """Buildings and the rules of moving in them, for one initialised simulator.

    Args:
        settings: Of the simulator. Camera and limits of elevation may be changed later on, as in
            MatterSim, and then hold from the next episode or action.
        listed: Whether scans must be listed in scans.txt, as in version 0.2.
    """

    def __init__(self, settings: Settings, listed: bool) -> None:
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
    ) -> list[View]:
        """Views of agents at the start of an episode.

        Args:
            scans: One each per agent, as all arguments; what goes beyond the batch is ignored.
            viewpoints: Their names.
            headings: Radians clockwise from +y, any number.
            elevations: Radians above the horizon; snapped, or brought within the limits.

        Raises:
            IndexError: An argument is too short, or a scan is not listed.
            TypeError: An argument is of the wrong type.
            ValueError: There is no such viewpoint, no graph, or no list of scans.
        """
        size = self._settings.batch_size
        check_batch("newEpisode", size, scans, viewpoints, headings, elevations)
        self._follow_camera()
        return [
            self._view(
                self._place(text(scans[i]), text(viewpoints[i])),
                real(headings[i]),
                real(elevations[i]),
            )
            for i in range(size)
        ]

    def act(
        self,
        views: Sequence[View],
        indices: Sequence[int],
        headings: Sequence[float],
        elevations: Sequence[float],
    ) -> list[View]:
        """Views after each agent has moved, then turned.

        Args:
            views: Of the agents before.
            indices: Places in their lists of navigable locations; 0 stays.
            headings: Changes in radians; only the sign counts when angles are discretised.
            elevations: Likewise.

        Raises:
            InvalidActionError: No such location, or no episode has begun.
            IndexError: An argument is too short.
            TypeError: An argument is of the wrong type.
        """
        check_batch("makeAction", len(views), indices, headings, elevations)
        places = _moved(views, indices)
        if self._settings.min_cosine != self._min_cosine:
            self._follow_camera()
            places = [self._seen_anew(place) for place in places]
        changes = zip(places, views, headings, elevations, strict=False)
        if self._settings.discretized:
            return [
                _discretized(place, TURNED[view.view_index][sign(heading)][sign(elevation)])
                for place, view, heading, elevation in changes
            ]
        return [
            self._view(place, view.heading + real(heading), view.elevation + real(elevation))
            for place, view, heading, elevation in changes
        ]

    def random_viewpoint(self, scan: str, generator: RandomEngine) -> str:
        """A viewpoint that one can stand on, drawn as MatterSim draws it.

        Of the records of a scan one is drawn; from an excluded one it goes on to the next.

        Raises:
            IndexError: The scan is not listed.
            ValueError: There is no graph, or it excludes all viewpoints.
        """
        records = self._scan_records(scan)
        drawn = generator.index(len(records))
        for name, included in records[drawn:] + records[:drawn]:
            if included:
                return name
        raise ValueError(f"MatterSim: ScanId: {scan} has no included viewpoints!")

    def _view(self, place: Place, heading: float, elevation: float) -> View:
        settings = self._settings
        if settings.discretized:
            return _discretized(place, snapped(heading, elevation))
        elevation = clamped(elevation, settings.min_elevation, settings.max_elevation)
        return View(place, normalized(heading), elevation)

    def _follow_camera(self) -> None:
        if self._settings.min_cosine != self._min_cosine:
            self._min_cosine = self._settings.min_cosine
            self._buildings.clear()

    def _seen_anew(self, place: Place) -> Place:
        """The same place through the present camera."""
        assert place.location is not None
        return self._building(place.scan_id).place(place.location.ix)

    def _place(self, scan: str, viewpoint: str) -> Place:
        known = self._building(scan)
        if viewpoint in known.graph:
            return known.find(viewpoint)
        if (viewpoint, False) in self._scan_records(scan):
            raise ValueError(
                f"MatterSim: ViewpointId: {viewpoint}, is excluded from the connectivity graph."
            )
        raise ValueError(
            f"MatterSim: Could not find viewpointId: {viewpoint}, is viewpoint id valid?"
        )

    def _building(self, scan: str) -> Building:
        if scan not in self._buildings:
            self._check_listed(scan)
            try:
                graph = NavGraph.load(scan, self._settings.connectivity_dir)
            except FileNotFoundError as error:
                path = f"{self._settings.nav_graph_path}/{scan}_connectivity.json"
                asked = "path" if self._listed else "scan id"
                raise ValueError(
                    f"MatterSim: Could not open navigation graph file: {path}, is {asked} valid?"
                ) from error
            self._buildings[scan] = building(graph, self._min_cosine)
        return self._buildings[scan]

    def _scan_records(self, scan: str) -> list[tuple[str, bool]]:
        """Names of the viewpoints in the connectivity file, and whether they are included."""
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
                raise ValueError(
                    f"MatterSim: Could not open list of scans at: {path}, is path valid?"
                ) from error
        if scan not in self._scans:
            error = IndexError("map::at")
            error.add_note(f"Scan '{scan}' is not listed in {path}.")
            raise error


def _moved(views: Sequence[View], indices: Sequence[int]) -> list[Place]:
    """Where each agent stands after its move."""
    places = []
    for view, given in zip(views, indices, strict=False):
        index = given if given.__class__ is int and given >= 0 else natural(given)
        if index == 0 and view is not NOWHERE:
            places.append(view.place)
        else:
            places.append(_target(view, index, len(places), len(views)))
    return places


def _target(view: View, index: int, environment: int, batch_size: int) -> Place:
    navigable = view.navigable
    if index >= len(navigable):
        raise InvalidActionError(index, environment, batch_size)
    assert view.place.building is not None
    return view.place.building.place(navigable[index].ix)


def _discretized(place: Place, view_index: int) -> View:
    """One of the 36 views of a place, made when first seen."""
    view = place.views[view_index]
    if view is None:
        view = place.views[view_index] = View(place, *DISCRETIZED[view_index], view_index)
    return view
