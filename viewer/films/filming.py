"""Films of whole walks."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from clipnav.envs.pictures.panorama_files import Pictures
from clipnav.storage import atomic_write
from clipnav.storage.progress import progress_bar
from clipnav.viewer.films.frames import Frames
from clipnav.viewer.films.layout import arranged
from clipnav.viewer.films.panoramas import Panoramas
from clipnav.viewer.films.timeline import Phase, Walk, phases, times
from clipnav.viewer.films.writing import DEFAULT_SIZES, Gif, Mp4, Writer, check_kind
from clipnav.viewer.scene.scenes import scene
from clipnav.viewer.site.library import Library
from clipnav.viewer.trace import Trace

_RATE = 25  # frames per second of an mp4
# The size of a GIF depends on the number of frames in which the camera moves: the rate is chosen
# for about 50 of them, within limits (frames per second).
_MOVING, _SLOWEST, _FASTEST = 50, 2.5, 8.0
_SAMPLES = 10  # number of frames that the palette of a GIF is computed from


@dataclass(frozen=True)
class FilmSettings:
    """Settings of a film.

    Attributes:
        size: Width and height in pixels, even numbers; by default 1280 x 720 for mp4 and
            960 x 540 for GIF.
        progress: Whether to show a progress bar.
    """

    size: tuple[int, int] | None = None
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
        library: Library of their world.
        pictures: Pictures of their world.
        settings: Settings of the film.

    Raises:
        UserError: The file has another suffix, or the size is not allowed.
        ModuleNotFoundError: An mp4 needs the extra "video".
        MissingFontError: No font on this machine has all characters of the instruction.
    """
    kind = check_kind(path)
    layout = arranged(settings.size or DEFAULT_SIZES[kind], len(traces))
    graph = library.graph(traces[0].scan)
    walks = [Walk(trace, graph) for trace in traces]
    building = scene(graph, library.files.world)
    frames = Frames(walks, layout, Panoramas(pictures, graph), building)
    parts = list(phases(walks))
    rate = _RATE if kind == ".mp4" else _gif_rate(parts)
    states = list(times(parts, rate))
    with atomic_write(path) as beside:
        writer: Writer
        if kind == ".mp4":
            writer = Mp4(beside, layout.size, _RATE)
        else:
            chosen = np.linspace(0, len(states) - 1, _SAMPLES).round().astype(int)
            samples = [frames.draw(*states[number]) for number in chosen]
            writer = Gif(beside, samples, rate)
        shown = progress_bar(states, desc="film", unit="frames", disable=not settings.progress)
        with closing(writer):
            for frame in frames.stream(iter(shown)):
                writer.add(frame)


def _gif_rate(parts: Sequence[Phase]) -> float:
    moving = sum(part.seconds for part in parts if part.kind in ("turn", "go"))
    return min(max(_MOVING / max(moving, 1.0), _SLOWEST), _FASTEST)
