"""Drawings of floor plans with furniture and navigation graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from clipnav.envs.houses.plan.elements import STAIRWELL, STOREY_HEIGHT

if TYPE_CHECKING:
    from clipnav.envs.houses.building.house import House
    from clipnav.envs.houses.plan.elements import Opening, Room

_MARGIN = 10  # pixels
_FONT_SIZES = (10, 9, 8, 7)
_WALL, _INK = (70, 68, 66), (30, 30, 34)
_PAPER, _THING, _EDGE, _VIEWPOINT = (255, 255, 255), (214, 210, 204), (40, 96, 200), (206, 44, 44)
_OPENINGS = {
    "door": (150, 96, 46),
    "arch": (245, 240, 230),
    "window": (120, 190, 235),
    "entrance": (214, 60, 50),
    "closed door": (90, 50, 120),
    "railing": (190, 160, 110),
}
_FLOORS: Mapping[str, tuple[int, int, int]] = {
    "hallway": (246, 240, 222),
    "landing": (246, 240, 222),
    STAIRWELL: (226, 200, 160),
    "living room": (252, 224, 190),
    "kitchen": (252, 246, 184),
    "dining room": (242, 208, 204),
    "bathroom": (196, 228, 246),
    "bedroom": (214, 230, 206),
    "kid's bedroom": (228, 212, 242),
}
_OTHER_FLOOR = (230, 230, 228)
_NOT_FURNITURE = frozenset(
    {"floor", "wall", "ceiling", "skirting", "outside", "window", "door frame", "archway"}
    | {"ceiling light", "picture", "curtain", "rug", "stairs", "railing", "mirror", "closed door"}
)


def draw_plan(
    house: House, storey: int, size: tuple[int, int], records: Sequence[dict[str, Any]] = ()
) -> np.ndarray:
    """Draw one storey from above, north up.

    Args:
        size: Height and width in pixels.

    Returns:
        (height, width, 3) uint8.
    """
    height, width = size
    image = Image.new("RGB", (width, height), _PAPER)
    sheet = _Sheet(ImageDraw.Draw(image), house, size)
    for room in house.plan.rooms:
        if room.storey == storey:
            sheet.room(room)
    floor = storey * STOREY_HEIGHT
    for thing in house.scene.objects:
        if thing.category not in _NOT_FURNITURE and floor <= thing.lower[2] + 0.05 < floor + 1.2:
            sheet.box((*thing.lower[:2], *thing.upper[:2]), _THING)
    for opening in house.plan.openings:
        if opening.storey == storey:
            sheet.opening(opening)
    sheet.graph(records, floor)
    for room in house.plan.rooms:
        if room.storey == storey:
            sheet.name(room)
    return np.array(image)


class _Sheet:
    """Drawing surface that converts metres to pixels."""

    def __init__(self, draw: ImageDraw.ImageDraw, house: House, size: tuple[int, int]) -> None:
        self._draw = draw
        plan = house.plan
        free = np.array([size[1], size[0]]) - 2 * _MARGIN
        self._scale = float(min(free / (plan.width, plan.depth)))
        used = self._scale * np.array([plan.width, plan.depth])
        self._left, self._bottom = (np.array([size[1], size[0]]) - used) / 2
        self._bottom = size[0] - self._bottom

    def at(self, x: float, y: float) -> tuple[float, float]:
        return self._left + self._scale * x, self._bottom - self._scale * y

    def box(self, box: Sequence[float], fill: tuple[int, int, int], outline=None) -> None:
        (x0, y1), (x1, y0) = self.at(box[0], box[1]), self.at(box[2], box[3])
        self._draw.rectangle((x0, y0, x1, y1), fill=fill, outline=outline, width=2)

    def room(self, room: Room) -> None:
        self.box((room.x0, room.y0, room.x1, room.y1), _floor(room), _WALL)

    def opening(self, opening: Opening) -> None:
        along = opening.axis == "x"
        ends = [
            (e, opening.position) if along else (opening.position, e)
            for e in (opening.start, opening.end)
        ]
        self._draw.line([self.at(*end) for end in ends], fill=_OPENINGS[opening.kind], width=4)

    def graph(self, records: Sequence[dict[str, Any]], floor: float) -> None:
        """Draw the viewpoints and edges of the storey and of the stairs above it."""
        poses = np.array([record["pose"] for record in records]).reshape(-1, 16)
        points, levels = poses[:, [3, 7]], poses[:, 11] - floor
        own = (levels > -0.3) & (levels < STOREY_HEIGHT + 0.3)
        for i, j in np.argwhere(
            np.triu([record["unobstructed"] for record in records] or [[False]])
        ):
            if own[i] and own[j]:
                self._draw.line([self.at(*points[i]), self.at(*points[j])], fill=_EDGE, width=1)
        for x, y in points[own]:
            column, row = self.at(x, y)
            self._draw.ellipse((column - 3, row - 3, column + 3, row + 3), fill=_VIEWPOINT)

    def name(self, room: Room) -> None:
        """Write the kind in the north-west corner; narrow rooms have small text and line breaks."""
        (x, y), (right, _) = self.at(room.x0, room.y1), self.at(room.x1, room.y0)
        for size, text in product(_FONT_SIZES, (room.kind, room.kind.replace(" ", "\n"))):
            font = ImageFont.load_default(size)
            if self._draw.multiline_textbbox((0, 0), text, font)[2] <= right - x - 6:
                break
        # The halo separates the name from the edges below it.
        halo = {"stroke_width": 2, "stroke_fill": _floor(room)}
        self._draw.multiline_text((x + 4, y + 3), text, _INK, font, spacing=0, **halo)


def _floor(room: Room) -> tuple[int, int, int]:
    return _FLOORS.get(room.kind, _OTHER_FLOOR)
