"""The map of a film: the trajectories so far on the plan of the building."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from clipnav.envs.drawing.canvas import CARD, Canvas, Point, Style, mixed
from clipnav.envs.drawing.plan_map import MapContent, PlanMap
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


class MapPanel:
    """Draws the map of one walk or two."""

    def __init__(
        self,
        walks: Sequence[Walk],
        scene: dict,
        size: tuple[int, int],
        styles: Sequence[Style],
    ) -> None:
        self._walks, self._styles = walks, styles
        walked = {name for walk in walks for name in walk.trace.walked}
        self._places = scene["viewpoints"] | free_places(scene, walked)
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

    def draw(self, states: Sequence[FilmState], across: float) -> Image.Image:
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

    def _place(self, walk: Walk, state: FilmState) -> tuple[Point, int]:
        """Return pixel and storey of an agent."""
        viewpoints = walk.trace.walked
        here = np.array(self._places[viewpoints[state.step]])
        there = np.array(self._places[viewpoints[min(state.step + 1, walk.last)]])
        storey = here[3] if state.progress < 0.5 else there[3]
        return self._map.pixel(here + state.progress * (there - here)), int(storey)

    def _chances(self, canvas: Canvas, walk: Walk, state: FilmState, style: Style) -> None:
        for candidate in walk.trace.steps[state.step].candidates:
            share = state.opacity * (candidate.probability or 0)
            if share > 0.02:
                colour, unit = mixed(CARD, style.colour, share), self._map.unit
                at = self._pixel(candidate.viewpoint)
                canvas.circle(at, 5 * unit, colour, style.colour, 1.2 * unit)
