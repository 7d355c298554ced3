"""What words mean in a house: which things a mention fits, where they are, which way leads on.

Planner and follower share these rules, so that an instruction is true of the path it was made for.
All of it is ground truth of a survey: positions, boxes, rooms and visible areas.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np

from envs.houses.language.acts import Mention
from envs.houses.plan.elements import STAIRWELL
from envs.houses.survey.landmarks import NOTICED, NOUNS
from envs.houses.survey.visibility import Survey
from envs.houses.survey.waymarks import passing

# Spoken noun of a category and how readily a person mentions it: those of short instructions, and
# more for which long ones have room.
SPOKEN: dict[str, tuple[str, float]] = {
    **NOUNS,
    "door": ("door", 0.25),
    "window": ("window", 0.2),
    "curtain": ("curtain", 0.2),
    "kitchen cabinet": ("kitchen cabinet", 0.3),
    "range hood": ("range hood", 0.3),
    "towel rail": ("towel rail", 0.3),
    "ceiling light": ("ceiling light", 0.0),  # one looks up to see it
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
# Nouns whose recorded colour is that of another part, or goes without saying.
COLOURLESS = frozenset(
    {"television", "sink", "mirror", "window", "painting", "plant", "ceiling light", "range hood"}
)
DOORWAYS = ("door frame", "archway")
THROUGH = 0.6  # metres from an edge to the doorway that it leads through
# Degrees clockwise from straight ahead within which a thing lies on a side, or a turn leads there.
SIDES = {"ahead": (-45, 45), "right": (25, 150), "left": (-150, -25)}
TURNS = {
    ("turn", "right"): (35, 150),
    ("turn", "left"): (-150, -35),
    ("slight", "right"): (12, 80),
    ("slight", "left"): (-80, -12),
}
BEHIND = 125  # degrees to either hand beyond which a thing is behind, and a turn one around
DOOR_ANGLES = {"right": (15, 120), "left": (-120, -15)}


class Sight:
    """A survey with the questions that acts ask of it.

    Attributes:
        survey: The house.
        noticed: (V, N) bool: objects large enough in view for a person to reckon with.
        neighbours: Viewpoints one edge away, for each of the V.
        rooms: Index of the room of each of the V.
        doorways: Object index of the doorway that an edge between two rooms leads through.
    """

    def __init__(self, survey: Survey) -> None:
        self.survey = survey
        self.noticed = survey.areas.max(axis=1) >= NOTICED
        self.neighbours = [np.flatnonzero(row).tolist() for row in survey.edges]
        self._nouns = np.array([SPOKEN.get(kind, ("",))[0] for kind in survey.categories])
        self._materials = np.array([thing.material for thing in survey.objects])
        away = survey.boxes.mean(axis=1)[None] - survey.positions[:, None]  # (V, N, 2)
        steps = survey.positions[None] - survey.positions[:, None]  # (V, V, 2)
        # Lists, since single elements of arrays are slow to read.
        self._bearings = np.arctan2(away[..., 0], away[..., 1]).tolist()
        self._headings = np.arctan2(steps[..., 0], steps[..., 1]).tolist()
        self._lengths = np.linalg.norm(steps, axis=2).tolist()
        self._fits: dict[Mention, np.ndarray] = {}
        self._noticed_fits: dict[tuple[Mention, int], list[int]] = {}
        self._passing: dict[tuple[int, int, int], tuple[float, float]] = {}
        self.rooms: list[int] = survey.rooms.tolist()
        self.doorways = self._find_doorways()
        self._ways: dict[int, set[int]] = {room: set() for room in self.rooms}
        for (start, _), way in self.doorways.items():
            self._ways[self.rooms[start]].add(way)

    def heading(self, here: int, there: int) -> float:
        """Heading in radians from one viewpoint to another."""
        return self._headings[here][there]

    def relative(self, heading: float, facing: float) -> float:
        """Degrees clockwise from `facing` to `heading` (both radians), within -180..180."""
        return math.degrees((heading - facing + math.pi) % math.tau - math.pi)

    def angle(self, here: int, facing: float, thing: int) -> float:
        """Degrees clockwise from where one faces to the middle of an object."""
        return self.relative(self._bearings[here][thing], facing)

    def length(self, walk: tuple[int, ...]) -> float:
        """Horizontal metres of a walk."""
        return sum(self._lengths[here][there] for here, there in pairwise(walk))

    def room_kind(self, viewpoint: int) -> str:
        """Kind of the room in which a viewpoint lies."""
        return self.survey.room_kind(viewpoint)

    def fits(self, mention: Mention) -> np.ndarray:
        """Which objects of the house a mention's noun, colour and material fit: (N,) bool."""
        if mention not in self._fits:
            fits = self._nouns == mention.noun
            if mention.colour:
                fits = fits & (self.survey.colours == mention.colour)
            if mention.material:
                fits = fits & (self._materials == mention.material)
            self._fits[mention] = fits
        return self._fits[mention]

    def meant(self, mention: Mention, here: int, facing: float) -> list[int]:
        """Objects that a mention may mean at a viewpoint: noticed there, nearest first.

        An ordinal counts those in front; a plural takes at least two.
        """
        key = (mention, here)
        if key not in self._noticed_fits:
            found = np.flatnonzero(self.fits(mention) & self.noticed[here]).tolist()
            found.sort(key=lambda thing: self.survey.distances[here, thing])
            self._noticed_fits[key] = found
        found = self._noticed_fits[key]
        if mention.ordinal:
            found = [thing for thing in found if abs(self.angle(here, facing, thing)) <= 90]
            return found[mention.ordinal - 1 : mention.ordinal]
        return [] if mention.plural and len(found) < 2 else found

    def is_on_side(self, side: str, here: int, facing: float, thing: int) -> bool:
        """Whether an object lies ahead, behind or to a side of one who faces a heading."""
        angle = self.angle(here, facing, thing)
        if side == "behind":
            return abs(angle) >= BEHIND
        low, high = SIDES[side]
        return low <= angle <= high

    def leads_to(self, kind: str, side: str, heading: float, facing: float) -> bool:
        """Whether a step with a heading does what a turn says to one who faces `facing`."""
        angle = self.relative(heading, facing)
        if kind == "around":
            return abs(angle) >= BEHIND
        low, high = TURNS[kind, side]
        return low <= angle <= high

    def passing(self, here: int, there: int, thing: int) -> tuple[float, float]:
        """Where along an edge an object's middle lies, and how near one comes to it: metres."""
        key = (here, there, thing)
        if key not in self._passing:
            self._passing[key] = passing(self.survey, here, there, thing)
        return self._passing[key]

    def is_stair(self, here: int, there: int, way: int) -> bool:
        """Whether an edge climbs (`way` 1) or descends (-1), or is level within a staircase."""
        climb = self.survey.climb(here, there)
        rooms = {self.room_kind(here), self.room_kind(there)}
        return climb == way or (climb == 0 and rooms == {STAIRWELL})

    def doorway(self, side: str, ordinal: int, here: int, facing: float) -> int:
        """The first, second, ... doorway of this room on one side, as one walks on; -1 for none."""
        survey = self.survey
        room = self.rooms[here]
        low, high = DOOR_ANGLES[side]
        found = [
            way
            for way in self._ways[room]
            if np.isfinite(survey.distances[here, way])
            and low <= self.angle(here, facing, way) <= high
        ]
        found.sort(key=lambda way: survey.gaps[here, way])
        return found[ordinal - 1] if len(found) >= ordinal else -1

    def _find_doorways(self) -> dict[tuple[int, int], int]:
        survey = self.survey
        is_way = np.isin(survey.categories, DOORWAYS) & (survey.object_rooms < 0)
        found: dict[tuple[int, int], int] = {}
        for start, end in np.argwhere(survey.edges).tolist():
            if survey.rooms[start] == survey.rooms[end]:
                continue
            # Seen, since another storey's doorway may lie right above.
            is_seen = np.isfinite(survey.distances[[start, end]]).any(axis=0)
            ways = np.flatnonzero(is_way & is_seen)
            ends = survey.positions[start], survey.positions[end]
            points = [ends[0] + part * (ends[1] - ends[0]) for part in np.linspace(0, 1, 9)]
            gaps = np.min([survey.gaps_at(point)[ways] for point in points], axis=0)
            if len(ways) and gaps.min() <= THROUGH:
                found[start, end] = int(ways[gaps.argmin()])
        return found
