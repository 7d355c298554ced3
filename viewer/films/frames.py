"""The frames of a film: panels of each agent, and one map."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from PIL import Image

from clipnav.viewer.films.canvas import PAPER
from clipnav.viewer.films.layout import Box, Layout
from clipnav.viewer.films.map_panel import MapPanel
from clipnav.viewer.films.panoramas import Panoramas
from clipnav.viewer.films.side_panels import AroundPanel, ChoicesPanel, FiguresPanel
from clipnav.viewer.films.style import Style
from clipnav.viewer.films.thought_panel import ThoughtPanel
from clipnav.viewer.films.timeline import FilmState, Phase, Walk
from clipnav.viewer.films.view_panel import ViewPanel
from clipnav.viewer.films.words_panel import WordsPanel

Draw = Callable[[Sequence[FilmState]], Image.Image]


class Frames:
    """Draws frames.

    Args:
        walks: Walks to film.
        layout: Layout for this number of walks.
        panoramas: Panoramas of the building.
        scene: Description of the building; see `clipnav.viewer.scene.scenes.scene`.
    """

    def __init__(
        self, walks: Sequence[Walk], layout: Layout, panoramas: Panoramas, scene: dict[str, Any]
    ) -> None:
        self._walks, self._layout = walks, layout
        self._panels: list[tuple[Box, Draw]] = []
        styles = [Style(layout.unit, number) for number in range(len(walks))]
        across = 0.0
        for number, (walk, style) in enumerate(zip(walks, styles, strict=True)):
            boxes = layout.panels[number]
            view = ViewPanel(walk, _size(boxes["view"]), style, panoramas)
            across = view.camera.across
            drawn: dict[str, Callable[[FilmState], Image.Image]] = {
                "view": view.draw,
                "figures": FiguresPanel(walk, _size(boxes["figures"]), style).draw,
                "words": WordsPanel(walk, _size(boxes["words"]), style).draw,
                "choices": ChoicesPanel(walk, _size(boxes["choices"]), style).draw,
            }
            if "around" in boxes:
                size = _size(boxes["around"])
                drawn["around"] = AroundPanel(walk, size, style, panoramas, across).draw
            if any(step.model for step in walk.trace.steps):
                # A model has no attention or probabilities, but it has thoughts.
                kind = "around" if "around" in boxes else "choices"
                drawn[kind] = ThoughtPanel(walk, _size(boxes[kind]), style).draw
            for kind, box in boxes.items():
                self._panels.append((box, _for_walk(drawn[kind], number)))
        plan = MapPanel(walks, scene, _size(layout.map), styles)
        self._panels.append((layout.map, lambda states: plan.draw(states, across)))

    def draw(self, phase: Phase, share: float) -> np.ndarray:
        """Draw the frame (height, width, 3) uint8 at a share of a phase."""
        states = [walk.state(phase, share) for walk in self._walks]
        frame = Image.new("RGB", self._layout.size, PAPER)
        for box, draw in self._panels:
            frame.paste(draw(states), box[:2])
        return np.asarray(frame)

    def stream(self, times: Iterator[tuple[Phase, float]]) -> Iterator[np.ndarray]:
        """Yield frames; an unchanged frame is the same array again."""
        before, frame = None, None
        for phase, share in times:
            states = [walk.state(phase, share) for walk in self._walks]
            if frame is None or states != before:
                before, frame = states, self.draw(phase, share)
            yield frame


def _for_walk(draw: Callable[[FilmState], Image.Image], number: int) -> Draw:
    return lambda states: draw(states[number])


def _size(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]
