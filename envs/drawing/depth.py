"""Depth pictures in colours, near surfaces bright, and their scale."""

import numpy as np
from PIL import Image

from clipnav.envs.drawing.canvas import CARD, DARK, Canvas, text_width

_MAP = "viridis_r"


def depth_colours(depth: np.ndarray, farthest: float) -> np.ndarray:
    """Return the colours (..., 3) uint8 of depths in metres, clipped at `farthest`."""
    from matplotlib import colormaps

    return colormaps[_MAP](np.clip(depth / farthest, 0, 1), bytes=True)[..., :3]


def depth_scale(width: int, farthest: float, letters: float = 12) -> Image.Image:
    """Return a scale (RGBA) from 0 to `farthest` metres, to lay on a picture."""
    height = round(2 * letters)
    canvas = Canvas((width, height), (0, 0, 0, 0))
    canvas.box((0, 0, width, height), (*DARK, 215), height / 4)
    ends = "0 m", f"{farthest:g} m"
    left, right = (text_width(end, letters) + 1.4 * letters for end in ends)
    canvas.text((0.7 * letters, height / 2), ends[0], letters, CARD, "lm")
    canvas.text((width - 0.7 * letters, height / 2), ends[1], letters, CARD, "rm")
    bar = max(1, round(width - left - right)), max(1, round(0.8 * letters))
    ramp = np.broadcast_to(np.linspace(0, farthest, bar[0]), bar[::-1])
    scale = canvas.finished()
    scale.paste(
        Image.fromarray(depth_colours(ramp, farthest)), (round(left), (height - bar[1]) // 2)
    )
    return scale
