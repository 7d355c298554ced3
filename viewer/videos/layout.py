"""Layouts of the panels of a video, for one agent or two, in a wide or a tall frame."""

import math
import re
from dataclasses import dataclass
from typing import Literal

from clipnav.storage.errors import UserError

Box = tuple[int, int, int, int]  # left, top, right, bottom
Kind = Literal["view", "figures", "words", "around", "choices"]

_WIDE = 1.25  # aspect ratio from which a frame is wide
_LEAST, _MOST = 360, 3840  # pixels of a side
_LEAST_MAP = 90  # height of the map with its legend, in units


@dataclass(frozen=True)
class Layout:
    """The panels of a frame.

    Attributes:
        size: Width and height of the frame.
        unit: Pixels per pixel of a frame of 1280 x 720.
        map: Box of the map.
        panels: Boxes of each agent's panels.
    """

    size: tuple[int, int]
    unit: float
    map: Box
    panels: tuple[dict[Kind, Box], ...]


def parse_size(text: str) -> tuple[int, int]:
    """Return width and height from a text such as 1280x720."""
    match = re.fullmatch(r"(\d+)x(\d+)", text.strip().lower())
    if not match:
        raise UserError(f"'{text}' is not a video size; write width and height: 1280x720")
    return int(match[1]), int(match[2])


def arranged(size: tuple[int, int], agents: int) -> Layout:
    """Arrange the panels."""
    width, height = size
    if not all(_LEAST <= side <= _MOST and side % 2 == 0 for side in size):
        raise UserError(
            f"a video of {width}x{height}: each side must be an even number of {_LEAST} to {_MOST} "
            "pixels; use for example 1280x720"
        )
    wide = width >= _WIDE * height
    unit = math.sqrt(width * height / (1280 * 720))
    if agents == 1:
        layout = (_wide if wide else _tall)(size, unit)
        left, top, right, bottom = layout.map
        if min(right - left, bottom - top) < _LEAST_MAP * unit:
            raise UserError(
                f"a video of {width}x{height}: the frame is too flat for its panels; use for "
                "example 1280x720"
            )
        return layout
    if not wide:
        raise UserError(
            f"a video of {width}x{height}: two agents side by side need a wide frame; use for "
            "example 1280x720, or name one --agent"
        )
    return _two(size, unit)


def _wide(size: tuple[int, int], unit: float) -> Layout:
    width, height = size
    gap = max(2, round(8 * unit))
    split = _even(0.665 * width)
    view = _even(0.605 * height)
    figures = view + round(66 * unit)
    left, right = split + gap, width - gap
    around = round((right - left) / 4)  # 360 degrees by 90
    choices = round(230 * unit)
    bottom = height - gap
    return Layout(
        size,
        unit,
        (left, gap, right, bottom - choices - around - 2 * gap),
        (
            {
                "view": (0, 0, split, view),
                "figures": (0, view, split, figures),
                "words": (0, figures + gap, split, height),
                "around": (left, bottom - choices - gap - around, right, bottom - choices - gap),
                "choices": (left, bottom - choices, right, bottom),
            },
        ),
    )


def _tall(size: tuple[int, int], unit: float) -> Layout:
    width, height = size
    gap = max(2, round(8 * unit))
    view = _even(min(0.40 * height, 0.66 * width))
    figures = view + round(66 * unit)
    words = figures + gap + round(max(0.18 * height, 180 * unit))
    middle = width // 2
    top, bottom = words + gap, height - gap
    around = round((width - middle - 2 * gap) / 4)
    return Layout(
        size,
        unit,
        (gap, top, middle, bottom),
        (
            {
                "view": (0, 0, width, view),
                "figures": (0, view, width, figures),
                "words": (0, figures + gap, width, words),
                "around": (middle + gap, top, width - gap, top + around),
                "choices": (middle + gap, top + around + gap, width - gap, bottom),
            },
        ),
    )


def _two(size: tuple[int, int], unit: float) -> Layout:
    width, height = size
    gap = max(2, round(8 * unit))
    half = (width - gap) // 2
    view = _even(0.44 * height)
    figures = view + round(62 * unit)
    top, bottom = figures + gap, height - gap
    column = round(0.345 * width)
    split = top + round(0.5 * (bottom - top))
    panels: list[dict[Kind, Box]] = []
    for left, side in ((0, gap), (width - half, width - gap - column)):
        panels.append(
            {
                "view": (left, 0, left + half, view),
                "figures": (left, view, left + half, figures),
                "words": (side, top, side + column, split),
                "choices": (side, split + gap, side + column, bottom),
            }
        )
    return Layout(
        size, unit, (2 * gap + column, top, width - 2 * gap - column, bottom), tuple(panels)
    )


def _even(number: float) -> int:
    return 2 * round(number / 2)
