"""Filming walks from beginning to end."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from storage import atomic_write
from storage.progress import progress_bar
from viewer.films.frames import Frames
from viewer.films.layout import arranged
from viewer.films.places import Places
from viewer.films.timeline import Phase, Walk, phases, times
from viewer.films.writing import Gif, Mp4, Writer, check_kind
from viewer.scene.pictures import Pictures
from viewer.scene.scenes import scene
from viewer.site.library import Library
from viewer.trace import Trace

_RATE = 25  # frames a second of an mp4
# Frames of a GIF in which the camera moves, on whose number its size depends, and its frames a
# second that come of it at least and at most.
_MOVING, _SLOWEST, _FASTEST = 50, 3.0, 8.0
_SAMPLES = 10  # frames that the palette of a GIF is made for


@dataclass(frozen=True)
class FilmSettings:
    """How films are made.

    Attributes:
        size: Width and height in pixels, even numbers.
        progress: Whether a bar shows how far it is.
    """

    size: tuple[int, int] = (1280, 720)
    progress: bool = False


def film_walks(
    path: Path,
    traces: Sequence[Trace],
    library: Library,
    pictures: Pictures,
    settings: FilmSettings = FilmSettings(),
) -> None:
    """Film a walk, or two of an episode side by side.

    Args:
        path: .gif or .mp4 file to write.
        traces: One walk, or two of the same building.
        library: Of their world.
        pictures: The same.
        settings: How.

    Raises:
        ValueError: The file has another ending, or the size does not do.
        ModuleNotFoundError: An mp4 needs the extra "video".
        MissingFontError: This machine has no font for the instruction.
    """
    kind = check_kind(path)
    layout = arranged(settings.size, len(traces))
    graph = library.graph(traces[0].scan)
    walks = [Walk(trace, graph) for trace in traces]
    building = scene(graph, library.files.world)
    frames = Frames(walks, layout, Places(pictures, graph), building)
    parts = list(phases(walks))
    rate = _RATE if kind == ".mp4" else _gif_rate(parts)
    moments = list(times(parts, rate))
    with atomic_write(path) as beside:
        writer: Writer
        if kind == ".mp4":
            writer = Mp4(beside, layout.size, _RATE)
        else:
            chosen = np.linspace(0, len(moments) - 1, _SAMPLES).round().astype(int)
            samples = [frames.draw(*moments[number]) for number in chosen]
            writer = Gif(beside, samples, rate)
        shown = progress_bar(moments, desc="film", unit="frames", disable=not settings.progress)
        with closing(writer):
            for frame in frames.stream(iter(shown)):
                writer.add(frame)


def _gif_rate(parts: Sequence[Phase]) -> float:
    moving = sum(part.seconds for part in parts if part.kind in ("turn", "go"))
    return min(max(_MOVING / max(moving, 1.0), _SLOWEST), _FASTEST)
