"""A source of panoramas whose pixels encode their direction and their viewpoint."""

import numpy as np

from clipnav.envs.panoramas.cameras import equirectangular_camera
from clipnav.envs.pictures.panorama_files import MILLIMETRES, NOTHING


class MarkedPanoramas:
    """Red, green and blue are 127.5 + 127 times x, y and z of the direction.

    All surfaces around viewpoint "a3" are 1.3 m away, around "b0" 1 m; there is nothing higher than
    60 degrees.
    """

    def __init__(self):
        self.drawn = []

    def rgb(self, scan, viewpoint, width):
        self.drawn.append((scan, viewpoint, width))
        return np.rint(127.5 + 127 * directions(width)).astype(np.uint8)

    def distance(self, scan, viewpoint, width):
        self.drawn.append((scan, viewpoint, "distance"))
        metres = 1 + int(viewpoint[1:]) / 10
        above = directions(width)[..., 2] > np.sin(np.pi / 3)
        return np.where(above, NOTHING, round(MILLIMETRES * metres)).astype(np.uint16)


def directions(width):
    """Return the (width / 2, width, 3) directions of a panorama's pixels."""
    x, y = np.arange(width) + 0.5, np.arange(width // 2) + 0.5
    return equirectangular_camera(width)(x[None, :], y[:, None])


def seen(colours):
    """Return the unit directions (..., 3) that colours (..., 3) encode."""
    marks = (colours.astype(float) - 127.5) / 127
    return marks / np.linalg.norm(marks, axis=-1, keepdims=True)


def centre(picture):
    """Return the direction (..., 3) that the middle of pictures (..., H, W, 3) shows."""
    height, width = picture.shape[-3:-1]
    middle = picture[..., height // 2 - 1 : height // 2 + 1, width // 2 - 1 : width // 2 + 1, :]
    return seen(middle.mean(axis=(-3, -2)))
