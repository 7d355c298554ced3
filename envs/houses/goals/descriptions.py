"""Descriptions that fit exactly one object of a house.

A description fits an object if its noun, colour, material, kind of room, storey and relation are
true of it. People draw the lines differently, so a description is unique only if it fits no other
object even where rooms and relations are judged loosely.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clipnav.envs.houses.goals.boxes import noun_of
from clipnav.envs.houses.language.acts import Mention
from clipnav.envs.houses.language.mentions import MENTIONED_MATERIALS
from clipnav.envs.houses.language.sight import COLOURLESS, SPOKEN_NOUNS

if TYPE_CHECKING:
    from clipnav.envs.houses.building.house import House
    from clipnav.envs.models.scene import ObjectInfo

_NEXT_TO, _MAYBE_NEXT_TO = (
    0.5,
    1.5,
)  # metres between objects that are, or may be, next to each other
_TOUCH, _MAYBE_TOUCH = 0.05, 0.3  # metres between an object and what it stands on
# Landmarks of relations are large enough to be noticed.
_SMALLEST_LANDMARK = 0.4  # metres, of the longest side


@dataclass(frozen=True)
class Description:
    """Content of a description, whatever the language.

    Attributes:
        noun: Key of the noun in the lexicons.
        room: Kind of room, "" if it is not mentioned.
        storey: Storey, -1 if it is not mentioned.
        colour: Colour, or "".
        material: Material, or "".
        relation: "next" or "on", or "" for none.
        landmark: Noun of the other object of the relation, or "".
    """

    noun: str
    room: str = ""
    storey: int = -1
    colour: str = ""
    material: str = ""
    relation: str = ""
    landmark: str = ""

    @property
    def mention(self) -> Mention:
        """The object with its attributes."""
        return Mention(self.noun, self.colour, self.material)


class Things:
    """Objects of a house, and what is true of them.

    Attributes:
        objects: Objects in the order of their indices.
        nouns: Noun of each object, as in `boxes.noun_of`.
    """

    def __init__(self, house: House) -> None:
        self.objects = house.scene.objects
        self.nouns = tuple(map(noun_of, self.objects))
        self._rooms = house.plan.rooms
        self._storeys = house.plan.storeys
        self._storey_at = house.plan.storey_at
        self._by_noun: dict[str, list[int]] = {}
        for thing in self.objects:
            self._by_noun.setdefault(self.nouns[thing.index], []).append(thing.index)

    def is_target(self, index: int) -> bool:
        """Return whether texts can ask for an object: they name it, and it is in a room."""
        thing = self.objects[index]
        return SPOKEN_NOUNS.get(thing.category, ("", 0.0))[1] > 0 and thing.room >= 0

    def storey(self, index: int) -> int:
        """Return the storey of an object."""
        thing = self.objects[index]
        if thing.room >= 0:
            return self._rooms[thing.room].storey
        return self._storey_at(thing.lower[2])

    def fits(self, description: Description, index: int, loosely: bool = False) -> bool:
        """Return whether a description is true of an object, or may be true of it."""
        thing, one = self.objects[index], description
        if self.nouns[index] != one.noun:
            return False
        if one.colour and thing.colour != one.colour:
            return False
        if one.material and thing.material != one.material:
            return False
        if one.room:
            in_room = thing.room >= 0 and self._rooms[thing.room].kind == one.room
            if not in_room and not (loosely and thing.room < 0):
                return False
        if one.storey >= 0 and self.storey(index) != one.storey:
            return False
        if not one.relation:
            return True
        others = self._by_noun.get(one.landmark, ())
        return any(self.related(one.relation, index, other, loosely) for other in others)

    def related(self, relation: str, index: int, other: int, loosely: bool = False) -> bool:
        """Return whether an object is, or may be, next to or on another one."""
        if index == other or self.storey(index) != self.storey(other):
            return False
        thing, landmark = self.objects[index], self.objects[other]
        if relation == "on":
            touch = _MAYBE_TOUCH if loosely else _TOUCH
            over = all(
                landmark.lower[axis] - touch <= centre <= landmark.upper[axis] + touch
                for axis, centre in enumerate(_middle(thing))
            )
            return over and abs(thing.lower[2] - landmark.upper[2]) <= touch
        if not loosely and thing.room != landmark.room:
            return False
        gaps = (
            max(
                landmark.lower[axis] - thing.upper[axis],
                thing.lower[axis] - landmark.upper[axis],
                0.0,
            )
            for axis in (0, 1)
        )
        return sum(gap * gap for gap in gaps) ** 0.5 <= (_MAYBE_NEXT_TO if loosely else _NEXT_TO)

    def fitting(self, description: Description) -> list[int]:
        """Return the objects that a description may fit."""
        known = self._by_noun.get(description.noun, ())
        return [index for index in known if self.fits(description, index, loosely=True)]

    def is_unique(self, description: Description, index: int) -> bool:
        """Return whether a description fits an object and no other one."""
        return self.fits(description, index) and self.fitting(description) == [index]

    def descriptions(self, index: int, room: bool = True) -> Iterator[Description]:
        """Yield the unique descriptions of an object, those with fewer parts first."""
        thing, noun = self.objects[index], self.nouns[index]
        colours = ["", thing.colour] if thing.colour and noun not in COLOURLESS else [""]
        materials = [""]
        if thing.material in MENTIONED_MATERIALS and noun not in COLOURLESS:
            materials.append(thing.material)
        storeys = [-1, self.storey(index)] if self._storeys > 1 else [-1]
        kind = self._rooms[thing.room].kind if room else ""
        found = [
            Description(noun, kind, storey, colour, material, relation, landmark)
            for relation, landmark in [("", ""), *sorted(self._relations(index))]
            for storey in storeys
            for colour in colours
            for material in materials
        ]
        found.sort(key=lambda one: (one.storey >= 0) + sum(map(bool, vars(one).values())))
        yield from (one for one in found if self.is_unique(one, index))

    def _relations(self, index: int) -> set[tuple[str, str]]:
        relations = set()
        for other, thing in enumerate(self.objects):
            noun, weight = SPOKEN_NOUNS.get(thing.category, ("", 0.0))
            size = max(high - low for low, high in zip(thing.lower, thing.upper, strict=True))
            if not weight or size < _SMALLEST_LANDMARK or noun == self.nouns[index]:
                continue
            relations |= {
                (relation, noun)
                for relation in ("on", "next")
                if self.related(relation, index, other)
            }
        # What stands on something is also near it, but nobody says so.
        on = {noun for relation, noun in relations if relation == "on"}
        return {
            (relation, noun) for relation, noun in relations if relation == "on" or noun not in on
        }


def _middle(thing: ObjectInfo) -> tuple[float, float]:
    (x0, y0, _), (x1, y1, _) = thing.lower, thing.upper
    return (x0 + x1) / 2, (y0 + y1) / 2
