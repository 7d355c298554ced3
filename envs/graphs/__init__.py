"""Navigation graphs, and what is computed on them once: shortest paths, candidates."""

import math
from typing import Any


def wrap_angle(angle: Any) -> Any:
    """Return an angle in radians, or an array of them, between -pi and pi."""
    return (angle + math.pi) % math.tau - math.pi
