"""Clauses of R2R-style instructions, and the alignment of a text with its path."""

from __future__ import annotations

from dataclasses import dataclass

from clipnav.envs.houses.survey.landmarks import Landmark


@dataclass(frozen=True)
class Clause:
    """One part of an R2R-style instruction.

    Attributes:
        kind: "leave", "enter" or "through" a room, "past", "toward" or "across" a landmark, "up"
            or "down" the stairs, "turn", "stop".
        first: First position in the path.
        last: Last position in the path.
        room: Kind of the mentioned room, or "".
        landmark: Landmark to pass, approach, cross or stop at; for "enter", a landmark in the room.
        side: "left" or "right" for a turn or the side of a landmark, else "".
    """

    kind: str
    first: int
    last: int
    room: str = ""
    landmark: Landmark | None = None
    side: str = ""


@dataclass(frozen=True)
class Span:
    """Alignment of one clause of a text with the path.

    Attributes:
        start: First character.
        end: Last character + 1.
        first: First position in the path.
        last: Last position in the path.
        things: Indices of the mentioned objects.
    """

    start: int
    end: int
    first: int
    last: int
    things: tuple[int, ...]


@dataclass(frozen=True)
class Instruction:
    """Text of an instruction, with the alignment of its clauses to the path and to objects."""

    text: str
    spans: tuple[Span, ...]
