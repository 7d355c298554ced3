"""Answers in space: a pixel of the look-down picture, or waypoints around the robot."""

import json
import math
import re
from dataclasses import dataclass
from typing import Any, Literal

from clipnav.agents.language_models.prompts.observations import Option
from clipnav.envs.continuous.goal_labels import WAYPOINTS
from clipnav.envs.continuous.settings import Size

_NUMBER = r"(-?\d{1,6}(?:\.\d{1,6})?)"
_PIXEL = re.compile(rf"[\[(]?\s{{0,3}}{_NUMBER}\s{{0,3}}[,\s]\s{{0,3}}{_NUMBER}\s{{0,3}}[\])]?")
_FARTHEST = 10.0  # metres of a waypoint
_POINTS = -1  # action of an option with points


@dataclass(frozen=True)
class PointForm:
    """Form of answers in space.

    Attributes:
        answers: "pixel", an answer [x, y], or "waypoints", one to eight of [x, y, theta].
        size: Height and width of the look-down picture in pixels.
    """

    answers: Literal["pixel", "waypoints"]
    size: Size

    @property
    def words(self) -> str:
        """The form in words, which follow "Its action is"."""
        if self.answers == "waypoints":
            return f"a list of 1 to {WAYPOINTS} waypoints [x, y, theta]"
        height, width = self.size
        return (
            f"a pixel [x, y] of the look-down picture, x from 0 to {width - 1} and y from 0 to "
            f"{height - 1}"
        )

    @property
    def schema(self) -> dict[str, Any]:
        """JSON schema of an answer."""
        if self.answers == "pixel":
            return {"type": "array", "items": {"type": "integer"}}
        row = {"type": "array", "items": {"type": "number"}}
        return {"type": "array", "items": row}

    def option(self, points: list[Any]) -> Option:
        """Return the option of an answer: a pixel [x, y], or a list of waypoints."""
        if self.answers == "pixel":
            x, y = map(math.floor, points)
            return Option("", _POINTS, words=f"go to pixel {x} {y}", points=((x, y),))
        rows = tuple(tuple(map(float, row)) for row in points)
        x, y, _ = rows[-1]
        return Option("", _POINTS, words=f"go to {x:.2f} m ahead, {y:.2f} m left", points=rows)

    def read(self, value: Any) -> tuple[Option | None, str] | None:
        """Return the option of an answer, or the problem; None if it may be a label.

        Eight zeros are the stop of exported waypoints: an option without points.
        """
        if isinstance(value, str):
            value = self._parsed(value.strip())
        if not isinstance(value, list):
            return None
        rows = [value] if self.answers == "pixel" else value
        length = 2 if self.answers == "pixel" else 3
        if not 1 <= len(rows) <= WAYPOINTS or not all(
            isinstance(row, list)
            and len(row) == length
            and all(isinstance(x, int | float) and not isinstance(x, bool) for x in row)
            and all(map(math.isfinite, row))
            for row in rows
        ):
            return None, f"the action is neither an option nor {self.words}"
        if self.answers == "pixel":
            (x, y), (height, width) = value, self.size
            if not (0 <= x < width and 0 <= y < height):
                return None, f"pixel {x:g} {y:g} is outside the picture of {width} x {height}"
        elif any(math.hypot(x, y) > _FARTHEST for x, y, _ in rows):
            return None, f"a waypoint is more than {_FARTHEST:g} m away"
        elif not any(map(any, rows)):
            return Option("", 0), ""
        return self.option(value), ""

    def _parsed(self, text: str) -> Any:
        if self.answers == "pixel":
            match = _PIXEL.fullmatch(text)
            return None if match is None else [float(number) for number in match.groups()]
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return None
