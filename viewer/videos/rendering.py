"""Videos of whole walks, and their frames: panels of each agent, and one map."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clipnav.envs.drawing.canvas import PAPER, DrawingStyle
from clipnav.envs.drawing.scenes import scene
from clipnav.envs.pictures.panorama_files import Pictures
from clipnav.storage import atomic_write
from clipnav.storage.progress import progress_bar
from clipnav.viewer.site.library import Library
from clipnav.viewer.trace import Trace
from clipnav.viewer.videos.layout import Box, Layout, arranged
from clipnav.viewer.videos.panoramas import Panoramas
from clipnav.viewer.videos.side_panels import AroundPanel, ChoicesPanel, FiguresPanel, MapPanel
from clipnav.viewer.videos.timeline import Phase, VideoState, VideoWalk, phases, times
from clipnav.viewer.videos.view_panel import ViewPanel
from clipnav.viewer.videos.words_panel import ThoughtPanel, WordsPanel
from clipnav.viewer.videos.writing import (
    DEFAULT_SIZES,
    Animation,
    Gif,
    Mp4,
    VideoWriter,
    check_kind,
)

Draw = Callable[[Sequence[VideoState]], Image.Image]
_RATE = 25  # frames per second of an mp4
# The size of other videos depends on the number of frames in which the camera moves: the rate is
# chosen for about so many of them, within limits (frames per second).
_MOVING = {".webp": 90, ".apng": 50, ".gif": 50}
_SLOWEST, _FASTEST = 2.5, 12.5


class Frames:
    """Draws frames."""

    def __init__(
        self,
        walks: Sequence[VideoWalk],
        layout: Layout,
        panoramas: Panoramas,
        scene: dict[str, Any],
    ) -> None:
        self._walks, self._layout = walks, layout
        self._panels: list[tuple[Box, Draw]] = []
        styles = [DrawingStyle(layout.unit, number) for number in range(len(walks))]
        across = 0.0
        for number, (walk, style) in enumerate(zip(walks, styles, strict=True)):
            boxes = layout.panels[number]
            view = ViewPanel(walk, _size(boxes["view"]), style, panoramas)
            across = view.camera.across
            drawn: dict[str, Callable[[VideoState], Image.Image]] = {
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
                self._panels.append(
                    (box, lambda states, draw=drawn[kind], n=number: draw(states[n]))
                )
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


def _size(box: Box) -> tuple[int, int]:
    return box[2] - box[0], box[3] - box[1]


@dataclass(frozen=True)
class VideoSettings:
    """Settings of a video.

    Attributes:
        size: Width and height in pixels, even numbers; by default 1280 x 720 for mp4 and
            960 x 540 for other videos.
        seconds: Length of the video; by default long enough to read it.
        progress: Whether to show a progress bar.
    """

    size: tuple[int, int] | None = None
    seconds: float | None = None
    progress: bool = False


def write_video(
    path: Path,
    traces: Sequence[Trace],
    library: Library,
    pictures: Pictures,
    settings: VideoSettings = VideoSettings(),
) -> None:
    """Write a video of a walk, or of two of an episode side by side."""
    kind = check_kind(path)
    layout = arranged(settings.size or DEFAULT_SIZES[kind], len(traces))
    graph = library.graph(traces[0].scan)
    walks = [VideoWalk(trace, graph) for trace in traces]
    building = scene(graph, library.files.world)
    frames = Frames(walks, layout, Panoramas(pictures, graph), building)
    parts = list(phases(walks))
    if settings.seconds:
        faster = settings.seconds / sum(part.seconds for part in parts)
        parts = [replace(part, seconds=faster * part.seconds) for part in parts]
    rate: float = _RATE
    if kind != ".mp4":
        moving = sum(part.seconds for part in parts if part.kind in ("turn", "go"))
        rate = min(max(_MOVING[kind] / max(moving, 1.0), _SLOWEST), _FASTEST)
    states = list(times(parts, rate))
    with atomic_write(path) as beside:
        writer: VideoWriter
        if kind == ".mp4":
            writer = Mp4(beside, layout.size, _RATE)
        elif kind == ".gif":
            writer = Gif(beside, rate)
        else:
            writer = Animation(beside, kind, rate)
        shown = progress_bar(states, desc="video", unit="frames", disable=not settings.progress)
        with closing(writer):
            for frame in frames.stream(iter(shown)):
                writer.add(frame)
