"""The map, north up: floor plan, reference path, goal, and the trajectories so far."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from clipnav.viewer.films.canvas import (
    CARD,
    INK,
    MUTED,
    WAY,
    Canvas,
    Point,
    Style,
    mixed,
    text_width,
)
from clipnav.viewer.films.timeline import FilmState, Walk
from clipnav.viewer.trace.format import position_of


def free_places(scene: dict[str, Any], names: Iterable[str]) -> dict[str, list[float]]:
    """Return [x, y, z of the nearest viewpoint's floor, its storey] of the names of positions."""
    nodes = np.array(list(scene["viewpoints"].values()))
    places = {}
    for name in names:
        position = position_of(name)
        if position is not None:
            nearest = nodes[np.linalg.norm(nodes[:, :3] - position, axis=1).argmin()]
            places[name] = [position[0], position[1], float(nearest[2]), int(nearest[3])]
    return places


_ROOM, _WALL, _WINDOW = (244, 242, 238), (91, 100, 114), (156, 201, 230)
_EDGE, _NODE = (181, 188, 199), (123, 133, 149)
_COLLISION = (200, 40, 40)
_GOAL = 3.0  # metres around the goal within which a stop is a success
_MARGIN, _LEAST = 1.5, 9.0  # metres: margin around the content, and least extent of the map


class MapPanel:
    """Draws the map of one walk or two."""

    def __init__(
        self,
        walks: Sequence[Walk],
        scene: dict,
        size: tuple[int, int],
        styles: Sequence[Style],
    ) -> None:
        self._walks, self._scene, self._size, self._styles = walks, scene, size, styles
        self._unit = styles[0].unit
        self._nodes: dict[str, list[float]] = scene["viewpoints"]
        walked = {name for walk in walks for name in walk.trace.walked}
        self._places = self._nodes | free_places(scene, walked)
        # Without a known goal there is no reference path.
        trace = walks[0].trace
        self._path = trace.path if trace.has_goal else ()
        self._foot = 30 * self._unit
        self._centre, self._scale = self._fitted()
        self._plans: dict[int, Canvas] = {}

    def draw(self, states: Sequence[FilmState], across: float) -> Image.Image:
        """Draw the map at a state of each walk; `across` is the field of view in radians."""
        places = [self._place(*pair) for pair in zip(self._walks, states, strict=True)]
        storey = places[0][1]
        if storey not in self._plans:
            self._plans[storey] = self._plan(storey)
        canvas = Canvas(self._size, self._plans[storey])
        pairs = list(zip(self._walks, states, places, self._styles, strict=True))
        ends: list[Point] = []
        for number, (walk, state, (at, _), style) in enumerate(pairs):
            shift = 2.5 * self._unit * (number - (len(self._walks) - 1) / 2)
            points = [self._pixel(self._places[v]) for v in walk.trace.walked[: state.step + 1]]
            points = [(x + shift, y + shift) for x, y in [*points, at]]
            canvas.line(points, style.colour, 3.5 * self._unit)
            ends.append(points[-1])
            for step in walk.trace.steps[: state.step]:
                if step.collided:
                    self._collision(canvas, self._pixel(self._places[step.viewpoint]))
        self._names(canvas, storey)
        for (x, y), (walk, state, (_, own), style) in zip(ends, pairs, strict=True):
            faint = 255 if own == storey else 110
            if not state.card:
                heading = state.pose.heading
                canvas.sector((x, y), 34 * self._unit, heading, across, (*style.colour, 70))
                self._chances(canvas, walk, state, style)
            canvas.circle((x, y), 7 * self._unit, (*style.colour, faint), CARD, 1.6 * self._unit)
        return canvas.finished()

    def _collision(self, canvas: Canvas, at: Point) -> None:
        """Draw a cross where an agent has walked into an obstacle."""
        (x, y), half = at, 4 * self._unit
        for side in (-1, 1):
            ends = [(x - half, y - side * half), (x + half, y + side * half)]
            canvas.line(ends, _COLLISION, 2 * self._unit)

    def _place(self, walk: Walk, state: FilmState) -> tuple[Point, int]:
        """Return pixel and storey of an agent."""
        viewpoints = walk.trace.walked
        here = np.array(self._places[viewpoints[state.step]])
        there = np.array(self._places[viewpoints[min(state.step + 1, walk.last)]])
        storey = here[3] if state.progress < 0.5 else there[3]
        return self._pixel(here + state.progress * (there - here)), int(storey)

    def _chances(self, canvas: Canvas, walk: Walk, state: FilmState, style: Style) -> None:
        for candidate in walk.trace.steps[state.step].candidates:
            share = state.opacity * (candidate.probability or 0)
            if share > 0.02:
                at = self._pixel(self._places[candidate.viewpoint])
                colour = mixed(CARD, style.colour, share)
                canvas.circle(at, 5 * self._unit, colour, style.colour, 1.2 * self._unit)

    def _fitted(self) -> tuple[np.ndarray, float]:
        """Return the centre of the map in metres, and the pixels per metre."""
        names = [*self._path, *(name for walk in self._walks for name in walk.trace.walked)]
        points = np.array([self._places[name][:2] for name in names])
        low, high = points.min(0) - _MARGIN, points.max(0) + _MARGIN
        if self._path:
            goal = np.array(self._places[self._path[-1]][:2])
            low, high = np.minimum(low, goal - _GOAL - 0.3), np.maximum(high, goal + _GOAL + 0.3)
        for room in (self._scene["plan"] or {"rooms": ()})["rooms"]:
            low = np.minimum(low, [room["x0"] - 0.3, room["y0"] - 0.3])
            high = np.maximum(high, [room["x1"] + 0.3, room["y1"] + 0.3])
        extent = np.maximum(high - low, _LEAST)
        room = np.array([self._size[0], self._size[1] - self._foot])
        return (low + high) / 2, float((room / extent).min())

    def _pixel(self, place: Sequence[float] | np.ndarray) -> Point:
        x = self._size[0] / 2 + (place[0] - self._centre[0]) * self._scale
        y = (self._size[1] - self._foot) / 2 - (place[1] - self._centre[1]) * self._scale
        return float(x), float(y)

    def _plan(self, storey: int) -> Canvas:
        """Draw the parts of the map that are the same in every frame of a storey."""
        canvas = Canvas(self._size, CARD)
        plan = self._scene["plan"]
        if plan:
            self._rooms(canvas, plan, storey)
        thin = max(1.0, 0.05 * self._scale)
        for one, other in self._scene["edges"]:
            ends = self._places[one], self._places[other]
            if storey in (ends[0][3], ends[1][3]):
                canvas.line([self._pixel(end) for end in ends], _EDGE, thin)
        for place in self._nodes.values():
            if place[3] == storey:
                canvas.circle(self._pixel(place), 2.2 * self._unit, _NODE)
        if self._path:
            self._reference(canvas)
        self._legend(canvas)
        return canvas

    def _rooms(self, canvas: Canvas, plan: dict, storey: int) -> None:
        wall = 0.14 * self._scale
        rooms = [room for room in plan["rooms"] if room["storey"] == storey]
        for room in rooms:
            corners = [(room[x], room[y]) for x, y in (("x0", "y1"), ("x1", "y0"))]
            (left, top), (right, bottom) = map(self._pixel, corners)
            canvas.box((left, top, right, bottom), _ROOM)
            outline = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
            canvas.line(outline, _WALL, wall)
        for opening in plan["openings"]:
            if opening["storey"] != storey or opening["kind"] in ("entrance", "closed door"):
                continue
            along = [(opening[end], opening["position"]) for end in ("start", "end")]
            if opening["axis"] != "x":
                along = [(y, x) for x, y in along]
            glass = opening["kind"] == "window"
            ends = [self._pixel(end) for end in along]
            canvas.line(ends, (*(_WINDOW if glass else _ROOM), 255), wall * (1.0 if glass else 1.6))

    def _names(self, canvas: Canvas, storey: int) -> None:
        size = 10.5 * self._unit
        for room in (self._scene["plan"] or {"rooms": ()})["rooms"]:
            if room["storey"] != storey:
                continue
            x, y = self._pixel(((room["x0"] + room["x1"]) / 2, room["y1"]))
            if text_width(room["kind"], size) < (room["x1"] - room["x0"]) * self._scale - 4:
                canvas.text((x, y + 11 * self._unit), room["kind"], size, MUTED, "mm")

    def _reference(self, canvas: Canvas) -> None:
        unit = self._unit
        points = [self._pixel(self._places[name]) for name in self._path]
        canvas.line(points, mixed(CARD, WAY, 0.5), 8 * unit)
        x, y = points[0]
        canvas.box((x - 6 * unit, y - 6 * unit, x + 6 * unit, y + 6 * unit), WAY, 2 * unit)
        x, y = points[-1]
        circle = [
            (x + _GOAL * self._scale * math.sin(a), y - _GOAL * self._scale * math.cos(a))
            for a in np.linspace(0, 2 * math.pi, 73)
        ]
        canvas.polygon(circle, (*WAY, 22))
        canvas.dashed(circle, (*WAY, 255), 1.6 * unit, 5 * unit)
        canvas.line([(x, y), (x, y - 22 * unit)], WAY, 2.4 * unit)
        flag = [(x, y - 23 * unit), (x + 16 * unit, y - 17 * unit), (x, y - 11 * unit)]
        canvas.polygon(flag, WAY)

    def _legend(self, canvas: Canvas) -> None:
        unit, size = self._unit, 12 * self._unit
        top = self._size[1] - self._foot
        canvas.box((0, top, *self._size), CARD)
        x, y = 12 * unit, top + self._foot / 2
        entries = [("reference path", mixed(CARD, WAY, 0.5), 8.0)] if self._path else []
        several = len(self._walks) > 1
        for walk, style in zip(self._walks, self._styles, strict=True):
            name = walk.trace.agent if several else "walked"
            entries.append((name, style.colour, 3.5))
        # Long names are shrunk until the legend fits.
        signs = 42 * unit * len(entries)
        wanted = sum(text_width(name, size) for name, *_ in entries)
        size *= min(1.0, (self._size[0] - x - signs) / wanted)
        for name, colour, width in entries:
            canvas.line([(x, y), (x + 20 * unit, y)], (*colour, 255), width * unit)
            canvas.text((x + 27 * unit, y), name, size, INK, "lm")
            x += 42 * unit + text_width(name, size)
        if self._path and x + text_width("3 m around the goal", size) + 30 * unit < self._size[0]:
            canvas.circle((x + 6 * unit, y), 6 * unit, None, WAY, 1.5 * unit)
            canvas.text((x + 19 * unit, y), "3 m around the goal", size, INK, "lm")
