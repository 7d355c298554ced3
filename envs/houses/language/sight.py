"""Spatial relations in a house: which objects a mention fits, where they are, where edges lead.

The planner and the follower share these rules, so that an instruction is true of its own path. All
relations are computed from a survey: positions, bounding boxes, rooms and visible areas.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from clipnav.envs.houses.language.acts import Act, Mention
from clipnav.envs.houses.plan.elements import STAIRWELL
from clipnav.envs.houses.survey.landmarks import NOTICED, NOUNS
from clipnav.envs.houses.survey.visibility import Survey

# Noun and weight of each category that texts mention: furniture, parts of rooms and small things.
SPOKEN_NOUNS: dict[str, tuple[str, float]] = {
    **NOUNS,
    "door": ("door", 0.25),
    "window": ("window", 0.2),
    "curtain": ("curtain", 0.2),
    "kitchen cabinet": ("kitchen cabinet", 0.3),
    "range hood": ("range hood", 0.3),
    "towel rail": ("towel rail", 0.3),
    "ceiling light": ("ceiling light", 0.0),  # not visible without looking up
    "railing": ("railing", 0.4),
    "closed door": ("closed door", 0.8),
    "cup": ("cup", 0.15),
    "plate": ("plate", 0.15),
    "fruit bowl": ("fruit bowl", 0.3),
    "bottle": ("bottle", 0.15),
    "laptop": ("laptop", 0.3),
    "candle": ("candle", 0.15),
    "bag": ("bag", 0.3),
    "ball": ("ball", 0.4),
    "box": ("box", 0.3),
}
# Nouns whose recorded colour is the colour of another part, or is obvious.
COLOURLESS = frozenset(
    {"television", "sink", "mirror", "window", "painting", "plant", "ceiling light", "range hood"}
)
PASSED_WITHIN = 1.7  # largest distance in metres from an edge to a landmark that it passes
_DOORWAYS = ("door frame", "archway")
_DOORWAY_REACH = 0.6  # metres from an edge to the doorway that it leads through
# Intervals in degrees clockwise from straight ahead: sides of an object, and directions of a turn.
SIDES = {"ahead": (-45, 45), "right": (25, 150), "left": (-150, -25)}
TURNS = {
    ("turn", "right"): (35, 150),
    ("turn", "left"): (-150, -35),
    ("slight", "right"): (12, 80),
    ("slight", "left"): (-80, -12),
}
BEHIND = 125  # degrees to either side beyond which an object is behind and a turn is "around"
_DOOR_ANGLES = {"right": (15, 120), "left": (-120, -15)}


class Sight:
    """Spatial relations between the V viewpoints and the N objects of a survey.

    Attributes:
        survey: Survey of the house.
        noticed: (V, N) bool: whether an object is large enough in view for a person to notice.
        things: The noticed objects at each viewpoint.
        largest: (V, N) largest fraction of a view that an object covers.
        gaps: (V, N) metres from viewpoints to bounding boxes.
        lengths: (V, V) metres on the floor plan between viewpoints.
        neighbours: Adjacent viewpoints of each viewpoint.
        rooms: Room index of each viewpoint.
        doorways: Object index of the doorway on an edge (start, end) between two rooms.
    """

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        largest = survey.areas.max(axis=1)
        self.noticed = largest >= NOTICED
        self.things = [np.flatnonzero(row).tolist() for row in self.noticed]
        self.neighbours = [np.flatnonzero(row).tolist() for row in survey.edges]
        self._nouns = np.array([SPOKEN_NOUNS.get(kind, ("",))[0] for kind in survey.categories])
        self._materials = np.array([thing.material for thing in survey.objects])
        self._away = away = survey.boxes.mean(axis=1)[None] - survey.positions[:, None]  # (V, N, 2)
        steps = survey.positions[None] - survey.positions[:, None]  # (V, V, 2)
        # Lists, because reading single elements of arrays is slow.
        self._bearings = np.arctan2(away[..., 0], away[..., 1]).tolist()
        self._headings = np.arctan2(steps[..., 0], steps[..., 1]).tolist()
        self.lengths = np.linalg.norm(steps, axis=2).tolist()
        self.largest = largest.tolist()
        self.gaps = survey.gaps.tolist()
        self._fits: dict[Mention, np.ndarray] = {}
        self._noticed_fits: dict[tuple[Mention, int], list[int]] = {}
        self._passing: dict[tuple[int, int, int], tuple[float, float]] = {}
        self._in_front: dict[tuple[Mention, int, int, float], list[int]] = {}
        # Result of `mention_options` by viewpoint, heading and object.
        self.mention_options: dict[tuple[int, float, int], list[tuple[Mention, float]]] = {}
        # Result of `fitting_walks` by viewpoint, act and heading, for a path of one viewpoint.
        self.fitting_walks: dict[tuple[int, Act, float | None], list[tuple[int, ...]]] = {}
        self.rooms: list[int] = survey.rooms.tolist()
        self.doorways = self._find_doorways()
        self._room_doorways: dict[int, set[int]] = {room: set() for room in self.rooms}
        for (start, _), doorway in self.doorways.items():
            self._room_doorways[self.rooms[start]].add(doorway)

    def heading(self, here: int, there: int) -> float:
        """Return the heading in radians from one viewpoint to another."""
        return self._headings[here][there]

    def relative(self, heading: float, facing: float) -> float:
        """Return the degrees clockwise from `facing` to `heading` (both radians), -180 to 180."""
        return math.degrees((heading - facing + math.pi) % math.tau - math.pi)

    def angle(self, here: int, facing: float, thing: int) -> float:
        """Return the degrees clockwise from a heading to the centre of an object."""
        return self.relative(self._bearings[here][thing], facing)

    def length(self, walk: tuple[int, ...]) -> float:
        """Return the horizontal length of a walk in metres."""
        return sum(self.lengths[here][there] for here, there in pairwise(walk))

    def room_kind(self, viewpoint: int) -> str:
        """Return the kind of the room of a viewpoint."""
        return self.survey.room_kinds[self.rooms[viewpoint]]

    def fits(self, mention: Mention) -> np.ndarray:
        """Return the objects with the noun, colour and material of a mention: (N,) bool."""
        if mention not in self._fits:
            fits = self._nouns == mention.noun
            if mention.colour:
                fits = fits & (self.survey.colours == mention.colour)
            if mention.material:
                fits = fits & (self._materials == mention.material)
            self._fits[mention] = fits
        return self._fits[mention]

    def referents(self, mention: Mention, here: int, facing: float) -> list[int]:
        """Return the objects that a mention can refer to at a viewpoint, nearest first.

        Only noticed objects count. An ordinal counts those in front; a plural requires two or more.
        """
        key = (mention, here)
        if key not in self._noticed_fits:
            noticed = np.flatnonzero(self.fits(mention) & self.noticed[here]).tolist()
            noticed.sort(key=lambda thing: self.survey.distances[here, thing])
            self._noticed_fits[key] = noticed
        things = self._noticed_fits[key]
        if mention.ordinal:
            in_front = [thing for thing in things if abs(self.angle(here, facing, thing)) <= 90]
            return in_front[mention.ordinal - 1 : mention.ordinal]
        return [] if mention.plural and len(things) < 2 else things

    def in_front(self, mention: Mention, here: int, there: int, within: float) -> list[int]:
        """Return the referents that are at most `within` degrees beside an edge, nearest first."""
        key = (mention, here, there, within)
        if key not in self._in_front:
            ahead = self.heading(here, there)
            self._in_front[key] = [
                thing
                for thing in self.referents(mention, here, ahead)
                if abs(self.angle(here, ahead, thing)) <= within
            ]
        return self._in_front[key]

    def is_on_side(self, side: str, here: int, facing: float, thing: int) -> bool:
        """Return whether an object is ahead, behind, left or right, for a heading in radians."""
        angle = self.angle(here, facing, thing)
        if side == "behind":
            return abs(angle) >= BEHIND
        low, high = SIDES[side]
        return low <= angle <= high

    def leads_to(self, kind: str, side: str, heading: float, facing: float) -> bool:
        """Return whether a step along `heading` takes a turn, for an agent that faces `facing`."""
        angle = self.relative(heading, facing)
        if kind == "around":
            return abs(angle) >= BEHIND
        low, high = TURNS[kind, side]
        return low <= angle <= high

    def passing(self, here: int, there: int, thing: int) -> tuple[float, float]:
        """Return an object's position along an edge and its smallest distance, in metres."""
        key = (here, there, thing)
        if key not in self._passing:
            edge = self.survey.positions[there] - self.survey.positions[here]
            length = float(np.linalg.norm(edge))
            ahead, away = edge / length, self._away[here, thing]
            along = float(away @ ahead)
            aside = float(np.linalg.norm(min(max(along, 0.0), length) * ahead - away))
            self._passing[key] = along, min(self.gaps[here][thing], self.gaps[there][thing], aside)
        return self._passing[key]

    def is_stair(self, here: int, there: int, direction: int) -> bool:
        """Return whether an edge goes up (`direction` 1) or down (-1), or is level in a stairwell.

        A level edge counts in both directions if both ends are in a stairwell.
        """
        climb = self.survey.climb(here, there)
        rooms = {self.room_kind(here), self.room_kind(there)}
        return climb == direction or (climb == 0 and rooms == {STAIRWELL})

    def doorway(self, side: str, ordinal: int, here: int, facing: float) -> int:
        """Return the object index of the n-th doorway of the room on one side, or -1.

        Args:
            facing: Heading in radians.
        """
        survey = self.survey
        room = self.rooms[here]
        low, high = _DOOR_ANGLES[side]
        doorways = [
            doorway
            for doorway in self._room_doorways[room]
            if np.isfinite(survey.distances[here, doorway])
            and low <= self.angle(here, facing, doorway) <= high
        ]
        doorways.sort(key=lambda doorway: self.gaps[here][doorway])
        return doorways[ordinal - 1] if len(doorways) >= ordinal else -1

    def _find_doorways(self) -> dict[tuple[int, int], int]:
        survey = self.survey
        is_doorway = np.isin(survey.categories, _DOORWAYS) & (survey.object_rooms < 0)
        doorways: dict[tuple[int, int], int] = {}
        for start, end in np.argwhere(survey.edges).tolist():
            if survey.rooms[start] == survey.rooms[end]:
                continue
            # A doorway must be visible: one on another storey can be directly above.
            is_seen = np.isfinite(survey.distances[[start, end]]).any(axis=0)
            candidates = np.flatnonzero(is_doorway & is_seen)
            ends = survey.positions[start], survey.positions[end]
            points = [ends[0] + part * (ends[1] - ends[0]) for part in np.linspace(0, 1, 9)]
            gaps = np.min([survey.gaps_at(point)[candidates] for point in points], axis=0)
            if len(candidates) and gaps.min() <= _DOORWAY_REACH:
                doorways[start, end] = int(candidates[gaps.argmin()])
        return doorways
