"""Names of free positions, which take the place of viewpoints in traces of continuous walks.

A name such as "@1.250,-3.500,1.250" contains x, y and z of the camera in metres.
"""

import re
from collections.abc import Sequence

FREE = "@"
_NUMBER = r"(-?\d{1,5}\.\d{3})"
_NAME = re.compile(rf"{FREE}{_NUMBER},{_NUMBER},{_NUMBER}", re.ASCII)


def position_name(position: Sequence[float]) -> str:
    """Return the name of a position of the camera, rounded to millimetres."""
    # Adding 0.0 turns -0.0 into 0.0.
    return FREE + ",".join(f"{round(float(value), 3) + 0.0:.3f}" for value in position)


def position_of(name: str) -> tuple[float, float, float] | None:
    """Return the position that a name contains; None for the name of a viewpoint."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    x, y, z = map(float, match.groups())
    return x, y, z
