"""Anti-aliased drawing: everything is drawn at twice the size and then halved."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from clipnav.envs.drawing.fonts import font_for

Colour = tuple[int, int, int] | tuple[int, int, int, int]
Point = tuple[float, float]
INK, MUTED, FAINT = (28, 36, 48), (86, 97, 115), (217, 222, 229)
PAPER, CARD, DARK = (234, 237, 242), (255, 255, 255), (16, 21, 28)
# Colours of Okabe and Ito, as on the page: two agents, the reference path, attention.
AGENTS = ((0, 114, 178), (192, 79, 0))
WAY, ATTENTION = (0, 128, 94), (230, 159, 0)
NAMED = (INK, MUTED, FAINT, PAPER, CARD, DARK, *AGENTS, WAY, ATTENTION)
_TWICE = 2


@dataclass(frozen=True)
class DrawingStyle:
    """Style of one agent's panels.

    Attributes:
        unit: Pixels per pixel of a frame of 1280 x 720.
        number: Number of the agent, 0 or 1.
    """

    unit: float
    number: int = 0

    @property
    def colour(self) -> tuple[int, int, int]:
        """Colour of the agent."""
        return AGENTS[self.number]


class Canvas:
    """A picture to draw on; coordinates are pixels of the finished picture."""

    def __init__(self, size: tuple[int, int], background: "Colour | Canvas") -> None:
        self.size = size
        if isinstance(background, Canvas):
            self._image = background._image.copy()
        else:
            mode = "RGB" if len(background) == 3 else "RGBA"
            self._image = Image.new(mode, (_TWICE * size[0], _TWICE * size[1]), background)
        # In mode RGBA, colours with an alpha value are blended with the picture.
        self._draw = ImageDraw.Draw(self._image, "RGBA")

    def finished(self) -> Image.Image:
        """Return the picture at its final size."""
        return self._image.reduce(_TWICE)

    def line(self, points: Sequence[Point], colour: Colour, width: float) -> None:
        """Draw a line with round corners and ends."""
        scaled = [_twice(point) for point in points]
        thickness = max(1, round(_TWICE * width))
        self._draw.line([c for point in scaled for c in point], colour, thickness, joint="curve")
        if thickness > 3 and len(colour) == 3:
            for point in (points[0], points[-1]):
                self.circle(point, width / 2, colour)

    def dashed(self, points: Sequence[Point], colour: Colour, width: float, dash: float) -> None:
        """Draw a dashed line; dashes and gaps have the same length."""
        corners = np.array(points, float)
        along = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
        for start in np.arange(0, along[-1], 2 * dash):
            end = min(start + dash, along[-1])
            between = along[(along > start) & (along < end)]
            stops = [start, *between, end]
            x, y = (np.interp(stops, along, corners[:, axis]).tolist() for axis in (0, 1))
            self.line(list(zip(x, y, strict=True)), colour, width)

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        """Fill a polygon."""
        self._draw.polygon([_twice(point) for point in points], fill)

    def circle(
        self,
        centre: Point,
        radius: float,
        fill: Colour | None,
        edge: Colour | None = None,
        width: float = 1.0,
    ) -> None:
        """Draw a circle."""
        self._draw.ellipse(
            _square(centre, radius), fill, edge, max(1, round(_TWICE * width)) if edge else 0
        )

    def discs(self, centres: Sequence[Point], radius: float, colour: Colour, alpha: int) -> None:
        """Fill what circles of one radius cover together."""
        area = Image.new("L", self._image.size)
        draw = ImageDraw.Draw(area)
        for centre in centres:
            draw.ellipse(_square(centre, radius), alpha)
        self._image.paste(colour, mask=area)

    def arc(self, centre: Point, radius: float, share: float, colour: Colour, width: float) -> None:
        """Draw a share of a circle, clockwise from the top."""
        ends = -90, -90 + 360 * share
        self._draw.arc(_square(centre, radius), *ends, colour, round(_TWICE * width))

    def sector(self, centre: Point, radius: float, middle: float, across: float, fill: Colour):
        """Fill a sector of a disc around a heading (radians clockwise from the top)."""
        start = math.degrees(middle - across / 2) - 90
        self._draw.pieslice(_square(centre, radius), start, start + math.degrees(across), fill)

    def box(self, corners: tuple[float, float, float, float], fill: Colour, radius: float = 0.0):
        """Fill a box (left, top, right, bottom) with round corners."""
        left, top, right, bottom = corners
        if right > left and bottom > top:
            scaled = (*_twice((left, top)), *_twice((right, bottom)))
            self._draw.rounded_rectangle(scaled, _TWICE * radius, fill)

    def mask(self, corner: Point, mask: np.ndarray, size: Point, fill: Colour) -> None:
        """Fill the true cells of a grid (H, W) bool with smooth edges.

        Args:
            corner: Left and top of the grid.
            size: Width and height of the grid in pixels.
        """
        wide, high = (max(1, round(side)) for side in _twice(size))
        grey = Image.fromarray(np.where(mask, 255, 0).astype(np.uint8))
        smooth = grey.resize((wide, high), Image.Resampling.BILINEAR)
        sharp = smooth.point([255 * (value > 127) for value in range(256)])
        left, top = _twice(corner)
        self._image.paste(fill[:3], (round(left), round(top)), sharp)

    def text(
        self,
        at: Point,
        text: str,
        size: float,
        colour: Colour = INK,
        anchor: str = "la",
        bold: bool = False,
    ) -> None:
        """Write a line of text; `anchor` is a Pillow text anchor."""
        font = font_for(text, _TWICE * size, bold)
        self._draw.text(_twice(at), text, colour, font, anchor)


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of a line of text in pixels."""
    return font_for(text, _TWICE * size, bold).getlength(text) / _TWICE


def truncate(text: str, size: float, width: float, bold: bool = False) -> str:
    """Shorten a text to a width; an ellipsis marks the omitted end."""
    if text_width(text, size, bold) <= width:
        return text
    while text and text_width(f"{text}…", size, bold) > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def mixed(one: Colour, other: Colour, share: float) -> tuple[int, int, int]:
    """Mix two colours; share 0 is the first, 1 the second."""
    red, green, blue = (round(a + share * (b - a)) for a, b in zip(one[:3], other[:3], strict=True))
    return red, green, blue


def _twice(point: Point) -> Point:
    return _TWICE * point[0], _TWICE * point[1]


def _square(centre: Point, radius: float) -> tuple[float, float, float, float]:
    """Return the square around a circle in pixels of the large picture."""
    x, y = centre
    return *_twice((x - radius, y - radius)), *_twice((x + radius, y + radius))
