"""Frames of environments: what an agent sees, the map, the instruction and the figures."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from clipnav.envs.drawing.canvas import (
    CARD,
    DARK,
    MUTED,
    PAPER,
    WAY,
    Canvas,
    DrawingStyle,
    text_width,
    truncate,
)
from clipnav.envs.drawing.figures import Curve, draw_curve, write_figures
from clipnav.envs.drawing.fonts import MissingFontError
from clipnav.envs.drawing.words import TextBox, progress_shades
from clipnav.storage.errors import pluralise

WIDTH, HEIGHT = 1280, 720
VIEW_SIZE = 852, 436  # width and height of the view
STRIP_SIZE = 412, 103  # of the panorama strip
STYLE = DrawingStyle(1.0)
_GAP, _FIGURES = 8, 66
_LOST = (176, 58, 16)


def map_size(with_strip: bool) -> tuple[int, int]:
    """Return width and height of the map, above a panorama strip or alone."""
    return STRIP_SIZE[0], HEIGHT - 2 * _GAP - with_strip * (STRIP_SIZE[1] + _GAP)


@dataclass(frozen=True)
class EpisodeFrame:
    """Content of a frame.

    Attributes:
        view: What the agent sees, `VIEW_SIZE`.
        plan: The map, `map_size`.
        strip: The panorama, `STRIP_SIZE`, if there is one.
        names: Id of the episode, and name of the building.
        instruction: The instruction.
        progress: Share of the reference path that is covered; None without a known goal.
        figures: Names and values.
        distances: Metres to the goal at each step so far; empty without a known goal.
        radius: Metres to the goal within which a stop is a success; 0 for its viewpoints alone.
        ended: Whether the episode has ended.
        success: Whether the agent is near enough to a known goal.
    """

    view: Image.Image
    plan: Image.Image
    strip: Image.Image | None
    names: tuple[str, str]
    instruction: str
    progress: float | None
    figures: Sequence[tuple[str, str]]
    distances: Sequence[float]
    radius: float
    ended: bool
    success: bool

    def draw(self) -> np.ndarray:
        """Return the frame (720, 1280, 3) uint8 RGB."""
        frame = Image.new("RGB", (WIDTH, HEIGHT), PAPER)
        frame.paste(self._captioned(), (0, 0))
        width, below = VIEW_SIZE
        figures = Canvas((width, _FIGURES), CARD)
        left = write_figures(figures, self.figures, STYLE)
        now = len(self.distances) - 1.0
        curve = Curve("distance to the goal", self.distances, now, self.radius)
        draw_curve(figures, left, curve, STYLE)
        frame.paste(figures.finished(), (0, below))
        top = below + _FIGURES + _GAP
        frame.paste(self._words((width, HEIGHT - top)), (0, top))
        left = width + _GAP
        frame.paste(self.plan, (left, _GAP))
        if self.strip:
            frame.paste(self.strip, (left, HEIGHT - _GAP - self.strip.height))
        return np.array(frame)

    def _captioned(self) -> Image.Image:
        """Return the view with the step, and at the end the outcome."""
        steps = len(self.distances) - 1
        text, colour = f"step {steps}", DARK
        if self.ended:
            colour = WAY if self.success else _LOST
            text = f"{'success' if self.success else 'no success'} after {pluralise(steps, 'step')}"
        if not self.distances:  # the goal is secret
            text, colour = "ended" if self.ended else "", DARK
        if not text:
            return self.view
        width = round(text_width(text, 15, bold=True)) + 24
        canvas = Canvas((width, 32), (0, 0, 0, 0))
        red, green, blue = colour
        canvas.box((0, 0, width, 32), (red, green, blue, 225), 8)
        canvas.text((12, 16), text, 15, CARD, "lm", bold=True)
        picture = self.view.convert("RGBA")
        picture.alpha_composite(canvas.finished(), (12, 12))
        return picture.convert("RGB")

    def _words(self, size: tuple[int, int]) -> Image.Image:
        canvas = Canvas(size, CARD)
        pieces = re.findall(r"\S+\s*", self.instruction)
        room = size[0] - 32, size[1] - 46
        try:
            box = TextBox(pieces, room, STYLE.unit)
        except MissingFontError as error:
            # The error message is reduced to ASCII, which every font has.
            text = f"The instruction cannot be drawn: {error}".encode("ascii", "replace").decode()
            pieces = re.findall(r"\S+\s*", text)
            box = TextBox(pieces, room, STYLE.unit)
        canvas.text((16, 21), "INSTRUCTION", 12, MUTED, "lm", bold=True)
        left = 30 + text_width("INSTRUCTION", 12, bold=True)
        legend = "" if self.progress is None else "shaded: progress along the reference path"
        right = size[0] - 16 - text_width(legend, 12)
        names = " · ".join(name for name in self.names if name)
        canvas.text((left, 21), truncate(names, 12, right - left - 16), 12, MUTED, "lm")
        canvas.text((right, 21), legend, 12, MUTED, "lm")
        progress = self.progress or 0.0
        shades = progress_shades(len(pieces), progress)
        newest = box.words[min(int(progress * len(pieces)), len(pieces) - 1)].line if pieces else 0
        scrolled = round(box.scrolled_to(newest) / box.leading) * box.leading
        box.draw(canvas, (16, 38), shades, scrolled)
        return canvas.finished()
