"""The camera view, with candidate markers and outlines of attention."""

import math

import numpy as np
from PIL import Image

from clipnav.viewer.films.attention import strengths
from clipnav.viewer.films.camera import Camera, Pose
from clipnav.viewer.films.canvas import ATTENTION, CARD, DARK, INK, Canvas, shortened, text_width
from clipnav.viewer.films.outcome_card import draw_card
from clipnav.viewer.films.panoramas import Panoramas
from clipnav.viewer.films.style import Style
from clipnav.viewer.films.timeline import FilmState, Walk
from clipnav.viewer.trace import Candidate

_ACROSS = math.radians(92)
_HALF = math.radians(15)  # half the width of one of the 36 views
_NOTE = "No pictures of this world"


class ViewPanel:
    """Draws the view.

    Args:
        walk: Walk to draw.
        size: Size of the panel.
        style: Style of its agent.
        panoramas: Panoramas of the building.
    """

    def __init__(
        self, walk: Walk, size: tuple[int, int], style: Style, panoramas: Panoramas
    ) -> None:
        self._walk, self._size, self._style, self._panoramas = walk, size, style, panoramas
        self.camera = Camera(*size, _ACROSS if size[0] > size[1] else math.radians(75))

    def draw(self, state: FilmState) -> Image.Image:
        """Draw the view."""
        picture = Image.fromarray(self._seen(state)).convert("RGBA")
        canvas = Canvas(self._size, (0, 0, 0, 0))
        if not state.card:
            self._frames(canvas, state)
            self._marks(canvas, state)
        self._caption(canvas, state)
        picture.alpha_composite(canvas.finished())
        if state.card:
            draw_card(picture, self._walk, self._style, state.card)
        return picture.convert("RGB")

    def _seen(self, state: FilmState) -> np.ndarray:
        here = self._panoramas.at(self._walk, state.step)
        if state.progress == 0:
            return self.camera.look(here, state.pose)
        there = self._panoramas.at(self._walk, state.step + 1)
        return self.camera.glide((here, there), state.progress, state.pose)

    def _frames(self, canvas: Canvas, state: FilmState) -> None:
        weights = self._walk.view_attention(state)
        if weights is None or state.progress:
            return
        for view in np.flatnonzero(strong := strengths(weights)):
            heading = math.radians(30 * (view % 12))
            elevation = math.radians(30 * (view // 12 - 1))
            outline = self._outline(heading, elevation, state.pose)
            if outline is not None:
                share = float(strong[view]) * state.opacity
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

    def _marks(self, canvas: Canvas, state: FilmState) -> None:
        step = self._walk.trace.steps[state.step]
        if state.opacity <= 0:
            return
        graph, walk = self._walk.graph, self._walk
        eye = walk.positions[state.step]
        if state.progress:
            eye = eye + state.progress * (walk.positions[state.step + 1] - eye)
        # The most likely candidate is drawn last, on top.
        order = sorted(enumerate(step.candidates, 1), key=lambda one: one[1].probability or 0)
        for number, candidate in order:
            node = graph.index(candidate.viewpoint)
            east, north, up = graph.positions[node] - eye - [0, 0, graph.heights[node]]
            elevation = math.atan2(up, math.hypot(east, north))
            ((x, y),) = self.camera.project([math.atan2(east, north)], [elevation], state.pose)
            chosen = number == step.action
            if not math.isnan(x) and -40 < x < self._size[0] + 40:
                # Markers of near candidates below the picture are moved to its edge.
                y = min(float(y), self._size[1] - 30 * self._style.unit)
                self._mark(canvas, (float(x), y), candidate, chosen, state.opacity)

    def _mark(
        self,
        canvas: Canvas,
        at: tuple[float, float],
        candidate: Candidate,
        chosen: bool,
        opacity: float,
    ) -> None:
        unit, colour = self._style.unit, self._style.colour
        alpha = round(255 * opacity)
        radius = 25 * unit
        ink = CARD if chosen else INK
        canvas.circle(at, radius + 2 * unit, (*DARK, round(70 * opacity)))
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

    def _caption(self, canvas: Canvas, state: FilmState) -> None:
        unit = self._style.unit
        steps = f"step {state.step} of {self._walk.last}"  # numbered as on the page
        left, top, size = 12 * unit, 12 * unit, 15 * unit
        note = text_width(_NOTE, 12 * unit) + left if self._panoramas.bare else 0
        room = self._size[0] - 2 * left - text_width(steps, size) - 44 * unit - note
        name = shortened(self._walk.trace.agent, size, room, bold=True)
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
        if self._panoramas.bare:
            x, y = self._size[0] - 12 * unit, 28 * unit
            canvas.text((x, y), _NOTE, 12 * unit, (*INK, 200), "rm")
