"""Films of traces."""

from pathlib import Path

import numpy as np

from envs.navigation.rendering import film
from viewer.scene.pictures import WIDTHS, NoPictures, Pictures
from viewer.site.library import Library, episode_of
from viewer.trace import Trace


def film_trace(
    path: Path, trace: Trace, library: Library, pictures: Pictures, seconds: float = 1.5
) -> None:
    """Film a walk, a frame per viewpoint.

    Args:
        path: .gif or .mp4 file to write.
        trace: The walk.
        library: Of its world.
        pictures: The same.
        seconds: Time that each frame stands.

    Raises:
        ValueError: The file has another ending.
        ModuleNotFoundError: An mp4 needs the extra "video".
    """
    poses = [(step.viewpoint, step.heading, step.elevation) for step in trace.steps]
    source = None if isinstance(pictures, NoPictures) else _decoded(pictures)
    film(library.graph(trace.scan), episode_of(trace), poses, source, path, seconds)


def _decoded(pictures: Pictures):
    def panorama(scan: str, viewpoint: str) -> np.ndarray:
        import io

        from PIL import Image

        return np.asarray(Image.open(io.BytesIO(pictures.jpeg(scan, viewpoint, WIDTHS[0]))))

    return panorama
