"""The camera view, with candidates and attention, and at the end the outcome of the walk."""

import math

import numpy as np
from PIL import Image

from clipnav.envs.drawing.camera import Camera, Pose
from clipnav.envs.drawing.canvas import (
    ATTENTION,
    CARD,
    DARK,
    INK,
    MUTED,
    Canvas,
    DrawingStyle,
    text_width,
    truncate,
)
from clipnav.envs.metrics import metrics
from clipnav.storage.errors import pluralise
from clipnav.viewer.trace import Outcome, Trace, TraceCandidate, outcome
from clipnav.viewer.videos.panoramas import Panoramas
from clipnav.viewer.videos.timeline import VideoState, VideoWalk, strengths

COLOURS: dict[Outcome, tuple[int, int, int]] = {
    "success": (0, 128, 94),
    "wrong stop": (196, 127, 0),
    "lost": (176, 58, 16),
    "unknown": MUTED,
}
_TITLES: dict[Outcome, str] = {
    "success": "Success",
    "wrong stop": "Wrong stop",
    "lost": "Lost",
    "unknown": "End of the walk",
}
_SIZE = (460, 214)
_ACROSS = math.radians(92)
_HALF = math.radians(15)  # half the width of one of the 36 views
_NOTE = "No pictures of this world"


def _draw_card(picture: Image.Image, walk: VideoWalk, style: DrawingStyle, shown: float) -> None:
    """Darken a picture (RGBA) and draw the card on it."""
    trace = walk.trace
    picture.alpha_composite(Image.new("RGBA", picture.size, (16, 21, 28, round(120 * shown))))
    unit = min(style.unit, picture.width / _SIZE[0] * 0.92, picture.height / _SIZE[1] * 0.86)
    width, height = round(_SIZE[0] * unit), round(_SIZE[1] * unit)
    canvas = Canvas((width, height), (0, 0, 0, 0))
    kind = outcome(trace)
    colour = COLOURS[kind]
    canvas.box((0, 0, width, height), (*CARD, 255), 16 * unit)
    centre = (50 * unit, 52 * unit)
    canvas.circle(centre, 26 * unit, colour)
    _sign(canvas, centre, kind, unit)
    canvas.text((92 * unit, 46 * unit), _TITLES[kind], 30 * unit, colour, "lm", bold=True)
    sentence, room = _sentence(trace), width - 110 * unit
    letters = min(15 * unit, 15 * unit * room / text_width(sentence, 15 * unit))
    canvas.text((93 * unit, 80 * unit), sentence, letters, INK, "lm")
    figures = _figures(trace)
    for column, (name, value) in enumerate(figures):
        x = (column + 0.5) * width / len(figures)
        canvas.text((x, 140 * unit), value, 23 * unit, INK, "mm", bold=True)
        canvas.text((x, 172 * unit), name, 13 * unit, MUTED, "mm")
    card = canvas.finished()
    card.putalpha(card.getchannel("A").point([round(value * shown) for value in range(256)]))
    left, top = (picture.width - card.width) // 2, (picture.height - card.height) // 2
    picture.alpha_composite(card, (left, top + round((1 - shown) * 20 * unit)))


def _sign(canvas: Canvas, centre: tuple[float, float], kind: Outcome, unit: float) -> None:
    x, y = centre

    def stroke(*points: tuple[float, float]) -> None:
        canvas.line([(x + a * unit, y + b * unit) for a, b in points], CARD, 5 * unit)

    if kind == "success":
        stroke((-11, 1), (-3, 9), (12, -9))
    elif kind == "unknown":
        stroke((-10, 0), (10, 0))
    else:
        stroke((-9, -9), (9, 9))
        stroke((-9, 9), (9, -9))


def _sentence(trace: Trace) -> str:
    last = trace.steps[-1]
    ending = "stopped" if trace.ending == "stopped" else "ended without stopping"
    moves = len(trace.steps) - 1
    ending += f" after {pluralise(moves, 'move')}"
    if last.distance_to_goal is None:
        return f"{ending}; the goal is not known"
    return f"{ending}, {last.distance_to_goal:.1f} m from the goal"


def _figures(trace: Trace) -> list[tuple[str, str]]:
    final = trace.steps[-1].metrics
    if not final:
        return [("moves", str(len(trace.steps) - 1))]
    length = trace.steps[0].distance_to_goal
    lengths = [("walked", f"{final['TL']:.1f} m")] if "TL" in final else []
    if length is not None:
        lengths.append(("shortest", f"{length:.1f} m"))
    shares = [m for m in metrics("walk").values() if m.unit == "%" and not m.binary]
    scores = [(m.name, f"{m.text(final[m.name])} %") for m in shares if m.name in final]
    return [*scores, *lengths]


class ViewPanel:
    """Draws the view."""

    def __init__(
        self, walk: VideoWalk, size: tuple[int, int], style: DrawingStyle, panoramas: Panoramas
    ) -> None:
        self._walk, self._size, self._style, self._panoramas = walk, size, style, panoramas
        self.camera = Camera(*size, _ACROSS if size[0] > size[1] else math.radians(75))

    def draw(self, state: VideoState) -> Image.Image:
        """Draw the view."""
        picture = Image.fromarray(self._seen(state)).convert("RGBA")
        canvas = Canvas(self._size, (0, 0, 0, 0))
        if not state.card:
            self._frames(canvas, state)
            self._marks(canvas, state)
        unit = self._style.unit
        steps = f"step {state.step} of {self._walk.last}"  # numbered as on the page
        left, top, size = 12 * unit, 12 * unit, 15 * unit
        note = text_width(_NOTE, 12 * unit) + left if self._panoramas.bare else 0
        room = self._size[0] - 2 * left - text_width(steps, size) - 44 * unit - note
        name = truncate(self._walk.trace.agent, size, room, bold=True)
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
        picture.alpha_composite(canvas.finished())
        if state.card:
            _draw_card(picture, self._walk, self._style, state.card)
        return picture.convert("RGB")

    def _seen(self, state: VideoState) -> np.ndarray:
        here = self._panoramas.at(self._walk, state.step)
        if state.progress == 0:
            return self.camera.look(here, state.pose)
        there = self._panoramas.at(self._walk, state.step + 1)
        return self.camera.glide((here, there), state.progress, state.pose)

    def _frames(self, canvas: Canvas, state: VideoState) -> None:
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

    def _marks(self, canvas: Canvas, state: VideoState) -> None:
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
        candidate: TraceCandidate,
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
