"""Panels beside the view: panorama strip, candidates, and figures of the step."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from clipnav.envs.drawing.canvas import (
    ATTENTION,
    CARD,
    DARK,
    INK,
    MUTED,
    PAPER,
    Canvas,
    DrawingStyle,
    Point,
    mixed,
)
from clipnav.envs.drawing.figures import Curve, draw_curve, write_figures
from clipnav.envs.drawing.plan_map import MapContent, PlanMap
from clipnav.envs.graphs.goal import radius_of
from clipnav.envs.metrics import SUCCESS_THRESHOLD
from clipnav.viewer.trace import TraceStep
from clipnav.viewer.trace.format import Motion, position_of
from clipnav.viewer.videos.panoramas import Panoramas
from clipnav.viewer.videos.timeline import VideoState, VideoWalk, strengths

# Actions of continuous walks, in words.
_MOTIONS: dict[Motion, str] = {
    "forward": "forward 25 cm",
    "left": "turn left",
    "right": "turn right",
    "stop": "stop",
}
_TILTS: dict[Motion, str] = {"look up": "look up", "look down": "look down"}
_UP = math.radians(45)  # elevation of the upper edge of the strip


def _free_places(scene: dict[str, Any], names: Iterable[str]) -> dict[str, list[float]]:
    """Return [x, y, z of the nearest viewpoint's floor, its storey] of the names of positions."""
    nodes = np.array(list(scene["viewpoints"].values()))
    places = {}
    for name in names:
        position = position_of(name)
        if position is not None:
            nearest = nodes[np.linalg.norm(nodes[:, :3] - position, axis=1).argmin()]
            places[name] = [position[0], position[1], float(nearest[2]), int(nearest[3])]
    return places


class MapPanel:
    """Draws the map of one walk or two."""

    def __init__(
        self,
        walks: Sequence[VideoWalk],
        scene: dict,
        size: tuple[int, int],
        styles: Sequence[DrawingStyle],
    ) -> None:
        self._walks, self._styles = walks, styles
        walked = {name for walk in walks for name in walk.trace.walked}
        self._places = scene["viewpoints"] | _free_places(scene, walked)
        # Without a known goal there is no reference path.
        trace = walks[0].trace
        path = [self._places[name] for name in trace.path] if trace.has_goal else []
        names = [walk.trace.agent if len(walks) > 1 else "walked" for walk in walks]
        content = MapContent(
            scene,
            [self._places[name] for name in walked],
            path,
            [(name, style.colour) for name, style in zip(names, styles, strict=True)],
            trace.goal if trace.has_goal else None,
        )
        self._map = PlanMap(content, size, styles[0].unit)

    def draw(self, states: Sequence[VideoState], across: float) -> Image.Image:
        """Draw the map at a state of each walk; `across` is the field of view in radians."""
        places = [self._place(*pair) for pair in zip(self._walks, states, strict=True)]
        storey, unit = places[0][1], self._map.unit
        canvas = self._map.canvas(storey)
        pairs = list(zip(self._walks, states, places, self._styles, strict=True))
        ends: list[Point] = []
        for number, (walk, state, (at, _), style) in enumerate(pairs):
            shift = 2.5 * unit * (number - (len(self._walks) - 1) / 2)
            points = [self._pixel(name) for name in walk.trace.walked[: state.step + 1]]
            points = [(x + shift, y + shift) for x, y in [*points, at]]
            canvas.line(points, style.colour, 3.5 * unit)
            ends.append(points[-1])
            for step in walk.trace.steps[: state.step]:
                if step.collided:
                    self._map.draw_collision(canvas, self._pixel(step.viewpoint))
        self._map.write_rooms(canvas, storey)
        for at, (walk, state, (_, own), style) in zip(ends, pairs, strict=True):
            if not state.card:
                self._map.draw_cone(canvas, at, (state.pose.heading, across), style.colour)
                self._chances(canvas, walk, state, style)
            self._map.draw_agent(canvas, at, style.colour, 255 if own == storey else 110)
        return canvas.finished()

    def _pixel(self, name: str) -> Point:
        return self._map.pixel(self._places[name])

    def _place(self, walk: VideoWalk, state: VideoState) -> tuple[Point, int]:
        """Return pixel and storey of an agent."""
        viewpoints = walk.trace.walked
        here = np.array(self._places[viewpoints[state.step]])
        there = np.array(self._places[viewpoints[min(state.step + 1, walk.last)]])
        storey = here[3] if state.progress < 0.5 else there[3]
        return self._map.pixel(here + state.progress * (there - here)), int(storey)

    def _chances(
        self, canvas: Canvas, walk: VideoWalk, state: VideoState, style: DrawingStyle
    ) -> None:
        for candidate in walk.trace.steps[state.step].candidates:
            share = state.opacity * (candidate.probability or 0)
            if share > 0.02:
                colour, unit = mixed(CARD, style.colour, share), self._map.unit
                at = self._pixel(candidate.viewpoint)
                canvas.circle(at, 5 * unit, colour, style.colour, 1.2 * unit)


class AroundPanel:
    """The whole panorama with the attention over the 36 views, centred at the camera's heading.

    Args:
        across: Horizontal field of view of the camera in radians.
    """

    def __init__(
        self,
        walk: VideoWalk,
        size: tuple[int, int],
        style: DrawingStyle,
        panoramas: Panoramas,
        across: float,
    ) -> None:
        self._walk, self._size, self._style = walk, size, style
        self._panoramas, self._across = panoramas, across

    def draw(self, state: VideoState) -> Image.Image:
        """Draw the strip."""
        step = state.step + (state.progress >= 0.5)
        picture = self._panoramas.at(self._walk, step).picture
        rows, columns = picture.shape[:2]
        kept = picture[rows // 4 : rows - rows // 4]
        shift = -round(state.pose.heading / (2 * math.pi) * columns)
        band = Image.fromarray(np.roll(kept, shift, axis=1)).resize(self._size)
        if state.card or state.progress:
            return band
        image = band.convert("RGBA")
        canvas = Canvas(self._size, (0, 0, 0, 0))
        self._attention(canvas, state)
        self._marks(canvas, state)
        # The lines mark the field of view of the camera.
        half = self._across / (2 * math.pi) * self._size[0] / 2
        for side in (-1, 1):
            x = self._size[0] / 2 + side * half
            canvas.line([(x, 0), (x, self._size[1])], (*CARD, 255), 1.5 * self._style.unit)
        image.alpha_composite(canvas.finished())
        return image.convert("RGB")

    def _attention(self, canvas: Canvas, state: VideoState) -> None:
        weights = self._walk.view_attention(state)
        if weights is None:
            return
        width, height = self._size[0] / 12, self._size[1] / 3
        for view, strong in enumerate(strengths(weights)):
            if strong <= 0:
                continue
            x, _ = self._pixel(math.radians(30 * (view % 12)), 0.0, state)
            top = (2 - view // 12) * height
            for middle in (x - self._size[0], x, x + self._size[0]):
                box = (middle - width / 2, top, middle + width / 2, top + height)
                canvas.box(box, (*ATTENTION, round(190 * strong)))

    def _marks(self, canvas: Canvas, state: VideoState) -> None:
        step = self._walk.trace.steps[state.step]
        for number, candidate in enumerate(step.candidates, 1):
            at = self._pixel(candidate.heading, candidate.floor, state)
            chosen = number == step.action
            colour = (*(self._style.colour if chosen else CARD), 255)
            canvas.circle(at, 5 * self._style.unit, colour, (*DARK, 255), 1.2 * self._style.unit)

    def _pixel(self, heading: float, elevation: float, state: VideoState) -> tuple[float, float]:
        turn = (heading - state.pose.heading + math.pi) % (2 * math.pi)
        margin = 6 * self._style.unit
        y = self._size[1] / 2 * (1 - elevation / _UP)
        return turn / (2 * math.pi) * self._size[0], min(max(y, margin), self._size[1] - margin)


class ChoicesPanel:
    """A bar for each action, with its direction and length."""

    def __init__(self, walk: VideoWalk, size: tuple[int, int], style: DrawingStyle) -> None:
        self._walk, self._size, self._style = walk, size, style
        self._top = 36 * style.unit
        room = size[1] - self._top - 6 * style.unit
        self._rows = max(2, int(room // (27 * style.unit)))
        most = max(len(step.candidates) for step in walk.trace.steps) + 1
        self._row = min(room / min(self._rows, most), 40 * style.unit)

    def draw(self, state: VideoState) -> Image.Image:
        """Draw the actions of the step."""
        unit = self._style.unit
        canvas = Canvas(self._size, CARD)
        step = self._walk.trace.steps[state.step]
        known = step.stop_probability is not None
        title = "ACTIONS AND PROBABILITIES" if known else "ACTIONS"
        canvas.text((16 * unit, 20 * unit), title, 12 * unit, MUTED, "lm", bold=True)
        if self._walk.trace.is_continuous:
            self._motions(canvas, step)
            return canvas.finished()
        chances = [step.stop_probability, *(c.probability for c in step.candidates)]
        shown, rest = self.shown(chances, step.action)
        for row, action in enumerate(shown):
            y = self._top + (row + 0.5) * self._row
            self._draw_row(canvas, y, state, action, chances[action])
        if rest:
            y = self._top + (len(shown) + 0.5) * self._row
            share = sum(chances[action] or 0 for action in rest)
            text = f"{len(rest)} more" + (f", together {100 * share:.0f} %" if known else "")
            canvas.text((48 * unit, y), text, 13 * unit, MUTED, "lm")
        return canvas.finished()

    def _motions(self, canvas: Canvas, step: TraceStep) -> None:
        """Draw the actions of a continuous walk, the chosen one in the agent's colour."""
        unit, height = self._style.unit, min(self._row, 27 * self._style.unit)
        for row, (motion, words) in enumerate(listed_motions(step.motion).items()):
            chosen = motion == step.motion
            y = self._top + (row + 0.5) * height
            colour = self._style.colour if chosen else MUTED
            text = f"{words}, collides" if chosen and step.collided else words
            canvas.text((26 * unit, y), text, 14 * unit, colour, "lm", bold=chosen)

    def shown(self, chances: list[float | None], action: int | None) -> tuple[list[int], list[int]]:
        """Return the actions that get a row, in order, and the others, the least likely ones."""
        count = len(chances)
        if count <= self._rows:
            return list(range(count)), []
        order = sorted(range(count), key=lambda other: (other != action, -(chances[other] or 0)))
        kept = self._rows - 1
        return sorted(order[:kept]), sorted(order[kept:])

    def _draw_row(
        self, canvas: Canvas, y: float, state: VideoState, action: int, chance: float | None
    ) -> None:
        unit, step = self._style.unit, self._walk.trace.steps[state.step]
        chosen = action == step.action
        colour = self._style.colour if chosen else (135, 146, 163)
        bold = chosen
        left = 26 * unit
        if action == 0:
            box = (left - 7 * unit, y - 7 * unit, left + 7 * unit, y + 7 * unit)
            canvas.box(box, colour, 3 * unit)
            name = "stop"
        else:
            candidate = step.candidates[action - 1]
            at = (left, y)
            turn = candidate.heading - state.pose.heading
            sine, cosine = math.sin(turn), math.cos(turn)
            shape = ((0, -9), (7, 0), (2.6, 0), (2.6, 8), (-2.6, 8), (-2.6, 0), (-7, 0))
            points = [
                (at[0] + unit * (x * cosine - y * sine), at[1] + unit * (x * sine + y * cosine))
                for x, y in shape
            ]
            canvas.polygon(points, colour)
            name = f"{candidate.distance:.1f} m"
        canvas.text((48 * unit, y), name, 14 * unit, INK, "lm", bold=bold)
        start, end = 108 * unit, self._size[0] - 66 * unit
        if chance is None:
            if chosen:
                canvas.text((start, y), "chosen", 14 * unit, colour, "lm", bold=True)
            return
        canvas.box((start, y - 6 * unit, end, y + 6 * unit), PAPER, 3 * unit)
        filled = start + (end - start) * chance * state.blend
        canvas.box((start, y - 6 * unit, filled, y + 6 * unit), colour, 3 * unit)
        right = (self._size[0] - 16 * unit, y)
        canvas.text(right, f"{100 * chance:.0f} %", 14 * unit, INK, "rm", bold=bold)


def listed_motions(taken: Motion | None) -> Mapping[Motion, str]:
    """Return the actions of a continuous walk in words; tilts of the camera only if taken."""
    tilts: dict[Motion, str] = {motion: _TILTS[motion] for motion in _TILTS if motion == taken}
    return _MOTIONS | tilts


class FiguresPanel:
    """The figures of the step, and the distance to the goal over the steps."""

    def __init__(self, walk: VideoWalk, size: tuple[int, int], style: DrawingStyle) -> None:
        self._walk, self._size, self._style = walk, size, style

    def draw(self, state: VideoState) -> Image.Image:
        """Draw the figures."""
        canvas = Canvas(self._size, CARD)
        left = write_figures(canvas, self.figures(state), self._style)
        # The distance to the goal, or without a goal the probability of stopping.
        steps = self._walk.trace.steps
        values, name = [step.distance_to_goal for step in steps], "distance to the goal"
        threshold = radius_of(self._walk.trace.goal, SUCCESS_THRESHOLD)
        if values[0] is None:
            values, name = [step.stop_probability for step in steps], "probability of stopping"
            threshold = 0.0
        known = [value for value in values if value is not None]
        if len(known) == len(values):
            curve = Curve(name, known, state.step + state.progress, threshold)
            draw_curve(canvas, left, curve, self._style)
        return canvas.finished()

    def figures(self, state: VideoState) -> list[tuple[str, str]]:
        """Return names and values of the figures."""
        walk, steps = self._walk, self._walk.trace.steps
        step = steps[state.step]
        after = steps[min(state.step + 1, walk.last)]
        figures = []
        if step.distance_to_goal is not None:
            far, then = step.distance_to_goal, after.distance_to_goal
            far = far if then is None else far + state.progress * (then - far)
            figures.append(("to the goal", f"{far:.1f} m"))
        length = sum(walk.length(number) for number in range(state.step))
        if state.progress:
            length += state.progress * walk.length(state.step)
        figures.append(("walked", f"{length:.1f} m"))
        if step.value is not None:
            figures.append(("value", f"{step.value:.2f}"))
        return figures
