"""The map of a building, north up: floor plan, graph, reference path and goal."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from clipnav.envs.drawing.canvas import (
    AGENTS,
    CARD,
    INK,
    MUTED,
    WAY,
    Canvas,
    Point,
    mixed,
    text_width,
)
from clipnav.envs.graphs.goal import Goal, radius_of
from clipnav.envs.metrics import SUCCESS_THRESHOLD

_ROOM, _WALL, _WINDOW = (244, 242, 238), (91, 100, 114), (156, 201, 230)
_OBSTACLE = (222, 217, 208)
_CELL = 0.05  # metres between the points at which obstacles are looked for
_EDGE, _NODE = (181, 188, 199), (123, 133, 149)
_COLLISION = (200, 40, 40)
_AT_GOAL = 0.6  # metres; radius of the circles around goals without a radius of their own
_MARGIN, _LEAST = 1.5, 9.0  # metres: margin around the content, and least extent of the map

# x, y, height of the floor in metres, and the storey.
Place = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class MapContent:
    """What a map shows.

    Attributes:
        scene: The building, as of `clipnav.envs.drawing.scenes.scene`.
        walked: Places that must be visible.
        path: Places of the reference path; none without a known goal.
        names: Name and colour of each walk in the legend.
        goal: Goal of several viewpoints or with a radius; None if it is the end of the path.
        radius: Metres around other goals within which a stop is a success.
        is_free: Returns (N,) bool, whether an agent can stand at positions (N, 2) in metres;
            obstacles are drawn.
    """

    scene: Mapping[str, Any]
    walked: Sequence[Place]
    path: Sequence[Place] = ()
    names: Sequence[tuple[str, tuple[int, int, int]]] = ()
    goal: Goal | None = None
    radius: float = SUCCESS_THRESHOLD
    is_free: Callable[[np.ndarray], np.ndarray] | None = None

    @property
    def goal_places(self) -> Sequence[Place]:
        """Places of the goal."""
        if self.goal is None:
            return self.path[-1:]
        return [self.scene["viewpoints"][name] for name in self.goal.viewpoints]

    @property
    def goal_radius(self) -> float:
        """Metres around the goal within which a stop is a success; 0 for its places alone."""
        return radius_of(self.goal, self.radius)

    @property
    def goal_name(self) -> str:
        """What the circles of the goal are, for the legend."""
        if self.goal_radius == 0:
            return "viewpoints of the goal"
        return f"{self.goal_radius:g} m around the goal"


class PlanMap:
    """Draws the parts of a map that are the same at every step.

    Args:
        size: Width and height in pixels.
        unit: Pixels per pixel of a frame of 1280 x 720.
    """

    def __init__(self, content: MapContent, size: tuple[int, int], unit: float) -> None:
        self._content, self._size, self.unit = content, size, unit
        self._foot = 30 * unit
        self._centre, self._scale = self._fitted()
        self._plans: dict[int, Canvas] = {}

    def canvas(self, storey: int) -> Canvas:
        """Return a new canvas with the map of a storey, to draw walks on."""
        if storey not in self._plans:
            self._plans[storey] = self._plan(storey)
        return Canvas(self._size, self._plans[storey])

    def pixel(self, place: Place) -> Point:
        """Return the pixel of a place."""
        x = self._size[0] / 2 + (place[0] - self._centre[0]) * self._scale
        y = (self._size[1] - self._foot) / 2 - (place[1] - self._centre[1]) * self._scale
        return float(x), float(y)

    def write_rooms(self, canvas: Canvas, storey: int) -> None:
        """Write the names of the rooms, over the walks."""
        size = 10.5 * self.unit
        for room in self._rooms(storey):
            x, y = self.pixel(((room["x0"] + room["x1"]) / 2, room["y1"]))
            if text_width(room["kind"], size) < (room["x1"] - room["x0"]) * self._scale - 4:
                canvas.text((x, y + 11 * self.unit), room["kind"], size, MUTED, "mm")

    def draw_walk(
        self, storey: int, places: Sequence[Place], view: tuple[float, float]
    ) -> Image.Image:
        """Return the map with the walk of one agent, which faces a heading with a field of view."""
        canvas = self.canvas(storey)
        points = [self.pixel(place) for place in places]
        canvas.line([*points, points[-1]], AGENTS[0], 3.5 * self.unit)
        self.write_rooms(canvas, storey)
        self.draw_cone(canvas, points[-1], view, AGENTS[0])
        self.draw_agent(canvas, points[-1], AGENTS[0])
        return canvas.finished()

    def draw_agent(
        self, canvas: Canvas, at: Point, colour: tuple[int, int, int], strength: int = 255
    ) -> None:
        """Draw the position of an agent."""
        canvas.circle(at, 7 * self.unit, (*colour, strength), CARD, 1.6 * self.unit)

    def draw_cone(
        self, canvas: Canvas, at: Point, view: tuple[float, float], colour: tuple[int, int, int]
    ) -> None:
        """Draw the heading and the field of view of an agent, both in radians."""
        canvas.sector(at, 34 * self.unit, *view, (*colour, 70))

    def draw_collision(self, canvas: Canvas, at: Point) -> None:
        """Draw a cross where an agent has walked into an obstacle."""
        (x, y), half = at, 4 * self.unit
        for side in (-1, 1):
            ends = [(x - half, y - side * half), (x + half, y + side * half)]
            canvas.line(ends, _COLLISION, 2 * self.unit)

    def _rooms(self, storey: int | None = None) -> Iterable[Mapping[str, Any]]:
        for room in (self._content.scene["plan"] or {"rooms": ()})["rooms"]:
            if storey in (None, room["storey"]):
                yield room

    @property
    def _reach(self) -> float:
        """Radius of the circles of the goal in metres."""
        return self._content.goal_radius or _AT_GOAL

    def _fitted(self) -> tuple[np.ndarray, float]:
        """Return the centre of the map in metres, and the pixels per metre."""
        path = self._content.path
        points = np.array([place[:2] for place in (*path, *self._content.walked)])
        low, high = points.min(0) - _MARGIN, points.max(0) + _MARGIN
        if len(path):
            goals = np.array([place[:2] for place in self._content.goal_places])
            reach = self._reach + 0.3
            low = np.minimum(low, goals.min(0) - reach)
            high = np.maximum(high, goals.max(0) + reach)
        for room in self._rooms():
            low = np.minimum(low, [room["x0"] - 0.3, room["y0"] - 0.3])
            high = np.maximum(high, [room["x1"] + 0.3, room["y1"] + 0.3])
        extent = np.maximum(high - low, _LEAST)
        room = np.array([self._size[0], self._size[1] - self._foot])
        return (low + high) / 2, float((room / extent).min())

    def _plan(self, storey: int) -> Canvas:
        canvas = Canvas(self._size, CARD)
        scene = self._content.scene
        if scene["plan"]:
            for room in self._rooms(storey):
                canvas.box(self._box(room), _ROOM)
        if self._content.is_free:
            self._draw_obstacles(canvas, storey, self._content.is_free)
        if scene["plan"]:
            self._draw_walls(canvas, storey)
        thin = max(1.0, 0.05 * self._scale)
        nodes: Mapping[str, Place] = scene["viewpoints"]
        for one, other in scene["edges"]:
            ends = nodes[one], nodes[other]
            if storey in (ends[0][3], ends[1][3]):
                canvas.line([self.pixel(end) for end in ends], _EDGE, thin)
        for place in nodes.values():
            if place[3] == storey:
                canvas.circle(self.pixel(place), 2.2 * self.unit, _NODE)
        if len(self._content.path):
            self._draw_reference(canvas)
        self._draw_legend(canvas)
        return canvas

    def _box(self, room: Mapping[str, Any]) -> tuple[float, float, float, float]:
        return *self.pixel((room["x0"], room["y1"])), *self.pixel((room["x1"], room["y0"]))

    def _draw_obstacles(
        self, canvas: Canvas, storey: int, is_free: Callable[[np.ndarray], np.ndarray]
    ) -> None:
        """Draw where no agent can stand: in the rooms of a plan, without a plan everywhere."""
        width, height = self._size[0], self._size[1] - self._foot
        reach = np.array([width, height]) / 2 / self._scale
        (x0, y0), (x1, y1) = self._centre - reach, self._centre + reach
        x = np.arange(x0, x1, _CELL) + _CELL / 2
        y = np.arange(y1, y0, -_CELL) - _CELL / 2
        grid = np.stack(np.meshgrid(x, y), axis=-1)
        blocked = ~is_free(grid.reshape(-1, 2)).reshape(grid.shape[:2])
        if self._content.scene["plan"]:
            inside = np.zeros_like(blocked)
            for room in self._rooms(storey):
                across = (x > room["x0"]) & (x < room["x1"])
                inside |= across & ((y > room["y0"]) & (y < room["y1"]))[:, None]
            blocked &= inside
        size = len(x) * _CELL * self._scale, len(y) * _CELL * self._scale
        canvas.mask((0, 0), blocked, size, _OBSTACLE)

    def _draw_walls(self, canvas: Canvas, storey: int) -> None:
        wall = 0.14 * self._scale
        for room in self._rooms(storey):
            left, top, right, bottom = self._box(room)
            outline = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
            canvas.line(outline, _WALL, wall)
        for opening in self._content.scene["plan"]["openings"]:
            if opening["storey"] != storey or opening["kind"] in ("entrance", "closed door"):
                continue
            along = [(opening[end], opening["position"]) for end in ("start", "end")]
            if opening["axis"] != "x":
                along = [(y, x) for x, y in along]
            glass = opening["kind"] == "window"
            ends = [self.pixel(end) for end in along]
            canvas.line(ends, (*(_WINDOW if glass else _ROOM), 255), wall * (1.0 if glass else 1.6))

    def _draw_reference(self, canvas: Canvas) -> None:
        unit = self.unit
        points = [self.pixel(place) for place in self._content.path]
        canvas.line(points, mixed(CARD, WAY, 0.5), 8 * unit)
        x, y = points[0]
        canvas.box((x - 6 * unit, y - 6 * unit, x + 6 * unit, y + 6 * unit), WAY, 2 * unit)
        goals = [self.pixel(place) for place in self._content.goal_places]
        radius = self._reach * self._scale
        canvas.discs(goals, radius, WAY, 22)
        for edge in _union_edges(np.array(goals), radius):
            canvas.dashed(edge, (*WAY, 255), 1.6 * unit, 5 * unit)
        x, y = points[-1]
        canvas.line([(x, y), (x, y - 22 * unit)], WAY, 2.4 * unit)
        flag = [(x, y - 23 * unit), (x + 16 * unit, y - 17 * unit), (x, y - 11 * unit)]
        canvas.polygon(flag, WAY)

    def _draw_legend(self, canvas: Canvas) -> None:
        unit, size = self.unit, 12 * self.unit
        top = self._size[1] - self._foot
        canvas.box((0, top, *self._size), CARD)
        x, y = 12 * unit, top + self._foot / 2
        path = bool(len(self._content.path))
        entries = [("reference path", mixed(CARD, WAY, 0.5), 8.0)] if path else []
        entries += [(name, colour, 3.5) for name, colour in self._content.names]
        # Long names are shrunk until the legend fits.
        signs = 42 * unit * len(entries)
        wanted = sum(text_width(name, size) for name, *_ in entries)
        size *= min(1.0, (self._size[0] - x - signs) / wanted)
        for name, colour, width in entries:
            canvas.line([(x, y), (x + 20 * unit, y)], (*colour, 255), width * unit)
            canvas.text((x + 27 * unit, y), name, size, INK, "lm")
            x += 42 * unit + text_width(name, size)
        goal = self._content.goal_name
        if path and x + text_width(goal, size) + 30 * unit < self._size[0]:
            canvas.circle((x + 6 * unit, y), 6 * unit, None, WAY, 1.5 * unit)
            canvas.text((x + 19 * unit, y), goal, size, INK, "lm")


def _union_edges(centres: np.ndarray, radius: float) -> Iterable[list[Point]]:
    """Return the edges of what circles around points (N, 2) cover together."""
    angles = np.linspace(0, 2 * math.pi, 145)
    circle = radius * np.stack([np.sin(angles), -np.cos(angles)], axis=1)
    for centre in centres:
        points = centre + circle
        outside = np.linalg.norm(points[:, None] - centres, axis=2).min(1) > radius - 1e-6
        for part in np.split(np.arange(len(points)), np.flatnonzero(np.diff(outside)) + 1):
            if outside[part[0]] and len(part) > 1:
                yield [(x, y) for x, y in points[part].tolist()]
