"""The view: what the camera sees, with marks where one can go and frames of attention."""

import math

import numpy as np
from PIL import Image

from viewer.films.attention import blended, strengths
from viewer.films.camera import Camera, Pose
from viewer.films.canvas import ATTENTION, CARD, DARK, INK, Canvas, text_width
from viewer.films.outcome_card import draw_card
from viewer.films.places import Places
from viewer.films.style import Style
from viewer.films.timeline import Moment, Walk
from viewer.trace import Candidate

_ACROSS = math.radians(92)
_HALF = math.radians(15)  # half the width of one of the 36 views
_NOTE = "This world has no pictures here."


class ViewPanel:
    """Draws the view.

    Args:
        walk: Whose.
        size: Of the panel.
        style: Size and colour of what is drawn on it.
        places: Panoramas.
    """

    def __init__(self, walk: Walk, size: tuple[int, int], style: Style, places: Places) -> None:
        self._walk, self._size, self._style, self._places = walk, size, style, places
        self.camera = Camera(*size, _ACROSS if size[0] > size[1] else math.radians(75))

    def draw(self, moment: Moment) -> Image.Image:
        """The view at a moment."""
        picture = Image.fromarray(self._seen(moment)).convert("RGBA")
        canvas = Canvas(self._size, (0, 0, 0, 0))
        if not moment.ended:
            self._frames(canvas, moment)
            self._marks(canvas, moment)
        self._caption(canvas, moment)
        picture.alpha_composite(canvas.finished())
        if moment.ended:
            draw_card(picture, self._walk, self._style, moment.ended)
        return picture.convert("RGB")

    def _seen(self, moment: Moment) -> np.ndarray:
        here = self._places.at(self._walk, moment.step)
        if moment.along == 0:
            return self.camera.look(here, moment.pose)
        there = self._places.at(self._walk, moment.step + 1)
        return self.camera.glide((here, there), moment.along, moment.pose)

    def _frames(self, canvas: Canvas, moment: Moment) -> None:
        steps = self._walk.trace.steps
        before = steps[moment.step - 1].view_attention if moment.step else None
        weights = blended(before, steps[moment.step].view_attention, moment.fresh)
        if weights is None or moment.along:
            return
        for view in np.flatnonzero(strong := strengths(weights)):
            heading = math.radians(30 * (view % 12))
            elevation = math.radians(30 * (view // 12 - 1))
            outline = self._outline(heading, elevation, moment.pose)
            if outline is not None:
                share = float(strong[view]) * moment.settled
                canvas.polygon(outline, (*ATTENTION, round(80 * share)))
                closed = [*outline, outline[0]]
                canvas.line(closed, (*ATTENTION, round(255 * share)), 2 * self._style.unit)

    def _outline(
        self, heading: float, elevation: float, pose: Pose
    ) -> list[tuple[float, float]] | None:
        along = np.linspace(-_HALF, _HALF, 7)[:-1]
        across = [along, np.full(6, _HALF), -along, np.full(6, -_HALF)]
        up = [np.full(6, _HALF), -along, np.full(6, -_HALF), along]
        points = self.camera.project(
            heading + np.concatenate(across), elevation + np.concatenate(up), pose
        )
        if np.isnan(points).any():
            return None
        return [(float(x), float(y)) for x, y in points]

    def _marks(self, canvas: Canvas, moment: Moment) -> None:
        step = self._walk.trace.steps[moment.step]
        if moment.settled <= 0:
            return
        graph, walk = self._walk.graph, self._walk
        eye = walk.positions[moment.step]
        if moment.along:
            eye = eye + moment.along * (walk.positions[moment.step + 1] - eye)
        # The likeliest lies on top.
        order = sorted(enumerate(step.candidates, 1), key=lambda one: one[1].probability or 0)
        for number, candidate in order:
            node = graph.index(candidate.viewpoint)
            east, north, up = graph.positions[node] - eye - [0, 0, graph.heights[node]]
            elevation = math.atan2(up, math.hypot(east, north))
            ((x, y),) = self.camera.project([math.atan2(east, north)], [elevation], moment.pose)
            chosen = number == step.action
            if not math.isnan(x) and -40 < x < self._size[0] + 40:
                # What is so near that it lies below the picture is shown at its edge.
                y = min(float(y), self._size[1] - 30 * self._style.unit)
                self._mark(canvas, (float(x), y), candidate, chosen, moment.settled)

    def _mark(
        self,
        canvas: Canvas,
        at: tuple[float, float],
        candidate: Candidate,
        chosen: bool,
        settled: float,
    ) -> None:
        unit, colour = self._style.unit, self._style.colour
        alpha = round(255 * settled)
        radius = 25 * unit
        ink = CARD if chosen else INK
        canvas.circle(at, radius + 2 * unit, (*DARK, round(70 * settled)))
        canvas.circle(at, radius, (*(colour if chosen else CARD), alpha))
        chance = candidate.probability
        distance = f"{candidate.distance:.1f} m"
        if chance is None:
            canvas.text(at, distance, 12 * unit, (*ink, alpha), "mm")
            return
        if chance > 0.005:
            ring = CARD if chosen else colour
            canvas.arc(at, radius - 2 * unit, chance, (*ring, alpha), 3 * unit)
        x, y = at
        percent = f"{100 * chance:.0f} %"
        canvas.text((x, y - 5 * unit), percent, 12.5 * unit, (*ink, alpha), "mm", bold=True)
        canvas.text((x, y + 9 * unit), distance, 10 * unit, (*ink, alpha), "mm")

    def _caption(self, canvas: Canvas, moment: Moment) -> None:
        unit = self._style.unit
        steps = f"step {moment.step + 1} of {self._walk.last + 1}"
        name = self._walk.trace.agent
        left, top, size = 12 * unit, 12 * unit, 15 * unit
        bold = text_width(name, size, bold=True)
        width = bold + text_width(steps, size) + 44 * unit
        canvas.box((left, top, left + width, top + 32 * unit), (*DARK, 215), 8 * unit)
        canvas.box(
            (left + 9 * unit, top + 8 * unit, left + 13 * unit, top + 24 * unit),
            (*self._style.colour, 255),
        )
        middle = top + 16 * unit
        canvas.text((left + 20 * unit, middle), name, size, CARD, "lm", bold=True)
        canvas.text((left + 32 * unit + bold, middle), steps, size, (214, 220, 228), "lm")
        if self._places.bare:
            note, size = _NOTE, 12 * unit
            x, y = self._size[0] - 12 * unit, 28 * unit
            canvas.text((x, y), note, size, (*INK, 200), "rm")
