"""The language-neutral content of a route instruction: a list of acts.

A planner builds acts from a path, a grammar writes them as text and parses text into acts, and a
symbolic follower executes them. An act has no path positions and no object indices
(`PlannedAct` adds them), so that a parsed act equals the planned one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

# Smallest and largest number of edges of each act that walks.
EDGE_RANGES: dict[str, tuple[int, int]] = {
    "straight": (1, 3),
    "past": (1, 3),
    "toward": (1, 3),
    "reach": (1, 4),
    "across": (1, 1),
    "through": (1, 4),
    "along": (1, 5),
    "end": (1, 5),
    "leave": (1, 3),
    "enter": (1, 3),
    "door": (1, 4),
    "up": (1, 8),
    "down": (1, 8),
}
TURNS = ("turn", "slight", "around")  # direction of the first edge of the next walk
STATEMENTS = ("at", "see", "stop")  # facts that hold at a viewpoint


class Mention(NamedTuple):
    """Reference to one object, or to several objects with a plural.

    Attributes:
        noun: Key of the noun in every lexicon: a plain English word.
        colour: Mentioned colour, or "".
        material: Mentioned material, or "".
        ordinal: 1 for "the first" of the objects ahead, nearest first; 0 for no ordinal.
        plural: Whether the mention refers to all such objects in sight.
    """

    noun: str
    colour: str = ""
    material: str = ""
    ordinal: int = 0
    plural: bool = False


class Act(NamedTuple):
    """One action of an instruction, or one statement about a viewpoint.

    Attributes:
        kind: One of `EDGE_RANGES`, `TURNS` or `STATEMENTS`.
        room: Kind of the room to leave, enter, cross or be in; "" for no room.
        mention: Landmark; for "enter", an object in the room.
        side: "left", "right", "ahead" or "behind": side of the landmark or direction of the turn;
            "" for none.
        metres: Length of the walk in metres; 0 for no length.
        ordinal: For "door": number of the doorway on that side, 1 for the first.
    """

    kind: str
    room: str = ""
    mention: Mention | None = None
    side: str = ""
    metres: int = 0
    ordinal: int = 0

    @property
    def fields(self) -> frozenset[str]:
        """Letters of the filled fields: R(oom), L(andmark), S(ide), D(istance), O(rdinal)."""
        filled = {
            "R": self.room,
            "L": self.mention,
            "S": self.side,
            "D": self.metres,
            "O": self.ordinal,
        }
        return frozenset(letter for letter, value in filled.items() if value)


class PlannedAct(NamedTuple):
    """An act of a plan with the part of the path that it describes.

    Attributes:
        act: The act.
        first: First position in the path.
        last: Last position in the path; equal to `first` for turns and statements.
        things: Indices of the mentioned objects.
        is_straight: Whether the walk goes straight ahead.
    """

    act: Act
    first: int
    last: int
    things: tuple[int, ...] = ()
    is_straight: bool = False


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

    @property
    def alignment(self) -> list[list[int]]:
        """The spans as lists, the field "alignment" of annotation files."""
        return [[s.start, s.end, s.first, s.last, *s.things] for s in self.spans]
