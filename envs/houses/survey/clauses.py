"""Clauses: what an instruction says, and how its words align with the path."""

from __future__ import annotations

from dataclasses import dataclass

from envs.houses.survey.landmarks import Landmark


@dataclass(frozen=True)
class Clause:
    """One thing that an instruction says.

    Attributes:
        kind: "leave", "enter" or "through" a room, "past", "toward" or "across" a landmark, "up"
            or "down" the stairs, "turn", "stop".
        first: Position in the path at which it begins.
        last: Position in the path at which it is done.
        room: Kind of the room, where one is said.
        landmark: What is passed, approached, crossed or stopped at; for "enter", what marks the
            room.
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
    """Characters `start` to `end` of an instruction tell of path positions `first` to `last`."""

    start: int
    end: int
    first: int
    last: int
    things: tuple[int, ...]


@dataclass(frozen=True)
class Instruction:
    """An instruction with the alignment of its clauses to the path and the house's objects."""

    text: str
    spans: tuple[Span, ...]
