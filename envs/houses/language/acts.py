"""The language-neutral content of a route instruction: a list of acts.

A planner makes acts from a path, a grammar puts them into words and takes words back to acts, and
a symbolic follower walks them. What depends on a path (its positions, the objects meant) is not
compared, so that a parsed act equals the planned one.
"""

from __future__ import annotations

from dataclasses import dataclass

# Acts that walk on, with the fewest and the most edges that one of them takes.
EDGES: dict[str, tuple[int, int]] = {
    "straight": (1, 2),
    "past": (1, 2),
    "toward": (1, 2),
    "reach": (1, 3),
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
TURNS = ("turn", "slight", "around")  # each bends the walk that follows
STATEMENTS = ("at", "see", "stop")  # what is true at a viewpoint


@dataclass(frozen=True)
class Mention:
    """Words that refer to one thing, or to several that a plural names.

    Attributes:
        noun: Key of the noun in every lexicon, a plain English one.
        colour: Colour that is said, or "".
        material: Material that is said, or "".
        ordinal: 1 for "the first" of the things ahead, nearest first; 0 where none is said.
        plural: Whether all such things in sight are meant.
    """

    noun: str
    colour: str = ""
    material: str = ""
    ordinal: int = 0
    plural: bool = False


@dataclass(frozen=True)
class Act:
    """One thing that an instruction tells one to do, or says of a place.

    Attributes:
        kind: One of `EDGES`, `TURNS` or `STATEMENTS`.
        room: Kind of the room that is left, entered, crossed, stood in; "" where none is said.
        mention: The landmark; for "enter", what is in the room.
        side: "left", "right", "ahead" or "behind", of a landmark or a turn, or "".
        metres: Length of the walk where it is said, else 0.
        ordinal: For "door": which doorway on that side, 1 is the first.
    """

    kind: str
    room: str = ""
    mention: Mention | None = None
    side: str = ""
    metres: int = 0
    ordinal: int = 0

    @property
    def fields(self) -> frozenset[str]:
        """Letters of what is filled: R(oom), L(andmark), S(ide), D(istance), O(rdinal)."""
        filled = {
            "R": self.room,
            "L": self.mention,
            "S": self.side,
            "D": self.metres,
            "O": self.ordinal,
        }
        return frozenset(letter for letter, value in filled.items() if value)


@dataclass(frozen=True)
class Step:
    """An act of a plan with its place in the path.

    Attributes:
        act: What is said.
        first: Position in the path at which it begins.
        last: Position at which it is done; `first` for what walks nowhere.
        things: Indices of the objects meant.
    """

    act: Act
    first: int
    last: int
    things: tuple[int, ...] = ()
