"""Plan the content of an instruction about a path, independent of a language.

The path is split into segments. Each segment is described by one act that is true of it: leave or
enter a room, pass or approach a landmark, go through a counted doorway, turn. A follower does not
know the result of a step before it takes it. Acts that an agent without a map would carry out
otherwise are therefore rarely accepted, and in a detailed plan also acts that fit other walks from
the same viewpoint, or that enter a room which is not visible yet. Statements about visible objects
are added until the instruction has the desired length; a landmark identifies the goal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

from clipnav.envs.houses.language.acts import EDGE_RANGES, Act, Mention, PlannedAct
from clipnav.envs.houses.language.annotators import Habits, Writer, draw
from clipnav.envs.houses.language.grammar import DISTANCES
from clipnav.envs.houses.language.mentions import mention_options
from clipnav.envs.houses.language.sight import BEHIND, Sight
from clipnav.envs.houses.language.symbolic_follower import (
    OPEN_ENDED,
    fits_turn,
    fitting_walks,
    online_walk,
)
from clipnav.envs.houses.language.walking import Walk, agrees, is_straight
from clipnav.envs.houses.plan.elements import STAIRWELL
from clipnav.envs.houses.plan.room_layout import HALL_KINDS
from clipnav.envs.houses.survey.landmarks import NOTICED

_MEASURED = ("straight", "through", "along")  # acts that can mention their length
SIDE = 0.05  # factor on the side of a landmark that is passed
# Weight of each kind of act among those that fit a segment.
WEIGHTS = {
    "straight": 0.4,
    "past": 2.5,
    "toward": 1.2,
    "reach": 2.0,
    "across": 1.5,
    "through": 1.6,
    "along": 1.6,
    "end": 2.0,
    "leave": 3.0,
    "enter": 3.5,
    "door": 2.0,
    "up": 8.0,
    "down": 8.0,
}
_CLARITY_POWER = 16  # exponent of the share of fitting walks that end at the right viewpoint
_HIDDEN_ROOM_SHARE = 0.7  # factor on this share if the entered room is not visible at first
SHARP_TURN = 42  # degrees; smaller turns are slight
_SMALLEST_TURN = 23  # degrees; smaller turns are not mentioned
_MISLEADING = 0.02  # factor on an act that an agent without a map misunderstands
DRAWS = 16  # segments that are drawn until one is accepted
_FIRST_TURN = 0.3  # factor on a turn at the start, where people often just say what to walk to
_SLIGHT_TURN = 0.4  # factor on a slight turn, which people mention less often than others
_REPEATED = 0.3  # factor on an act that mentions a noun again
_AROUND_MARGIN = 12  # degrees beyond the follower's limit before a turn is called "around"
_Option = tuple[list[PlannedAct], float]


def act_options(
    sight: Sight, path: Walk, position: int
) -> Iterator[tuple[Act, int, float, tuple[int, ...]]]:
    """Yield acts that can describe a segment of a path that begins at a position.

    Not every act is true of its segment; `walking.agrees` checks this.
    """
    for kind, (fewest, most) in EDGE_RANGES.items():
        for last in range(position + fewest, min(position + most, len(path) - 1) + 1):
            walk = path[position : last + 1]
            climbs = any(sight.survey.climb(here, there) for here, there in pairwise(walk))
            if climbs != (kind in ("up", "down")):  # only these acts describe stairs
                continue
            for act, weight, things in _acts_of_kind(sight, kind, walk):
                if kind in ("up", "down") and act.room and last < len(path) - 1:
                    continue
                yield act, last, weight * WEIGHTS[kind], things


def _acts_of_kind(
    sight: Sight, kind: str, walk: Walk
) -> Iterator[tuple[Act, float, tuple[int, ...]]]:
    """Yield the acts of one kind for a walk: (act, weight, objects)."""
    room, into = sight.room_kind(walk[0]), sight.room_kind(walk[-1])
    if kind in ("past", "toward", "reach", "across"):
        yield from _landmark_acts(sight, kind, walk)
    elif kind == "enter":
        yield Act(kind, room=into), 1.0, ()
        yield Act(kind), 0.4, ()
        yield from _furnished_rooms(sight, walk)
    elif kind == "door" and not _sees_closed_doors(sight, walk[0]):
        for side, ordinal in product(("left", "right"), (1, 2, 3)):
            yield Act(kind, side=side, ordinal=ordinal), 0.5 + 0.5 * ordinal, ()
    else:
        for act, weight in _plain_acts(kind, room, into):
            yield from ((one, weight, ()) for one in _with_distance(sight, act, walk))


def _plain_acts(kind: str, room: str, into: str) -> list[tuple[Act, float]]:
    """Return the acts of a kind that mention at most the room of a walk, with weights."""
    is_hall = room in HALL_KINDS
    if kind == "leave":
        return [(Act(kind, room), 0.2)] if is_hall else [(Act(kind, room), 1.0), (Act(kind), 0.5)]
    if kind in ("through", "along") and is_hall != (kind == "along"):
        return []
    if kind in ("end", "through", "along"):
        return [(Act(kind, room), 1.0)]
    if kind in ("up", "down") and into == STAIRWELL:
        return [(Act(kind), 1.0), (Act(kind, STAIRWELL), 0.5)]
    return [(Act(kind), 1.0)] if kind in ("straight", "up", "down") else []


def _sees_closed_doors(sight: Sight, here: int) -> bool:
    """Return whether a closed door is visible, which makes counting doorways ambiguous."""
    return bool((sight.fits(Mention("closed door")) & sight.noticed[here]).any())


def _with_distance(sight: Sight, act: Act, walk: Walk) -> list[Act]:
    """Return an act without and, if the grammar has a word for its length, with a distance."""
    metres = round(sight.length(walk))
    acts = [act]
    if act.kind in _MEASURED and metres in DISTANCES and len(walk) > 2:
        acts.append(Act(act.kind, act.room, metres=metres))
    return acts


def _landmark_acts(
    sight: Sight, kind: str, walk: Walk
) -> Iterator[tuple[Act, float, tuple[int, ...]]]:
    """Yield acts about a landmark ahead of the first edge of a walk."""
    here, ahead = walk[0], sight.heading(walk[0], walk[1])
    for thing in sight.things[here]:
        # Rugs are walked across, other landmarks are passed.
        is_rug = sight.survey.objects[thing].category == "rug"
        if (kind == "across") != is_rug and kind in ("across", "past"):
            continue
        if abs(sight.angle(here, ahead, thing)) > 80:
            continue
        visible = min(sight.largest[here][thing], 0.15) / 0.15 + 0.2
        for mention, weight in mention_options(sight, here, ahead, thing):
            things = tuple(sight.referents(mention, here, ahead)) if mention.plural else (thing,)
            weight *= visible
            yield Act(kind, mention=mention), weight, things
            if kind == "past" and not mention.plural:
                ahead_last = sight.heading(*walk[-2:])
                for side in ("left", "right"):
                    if sight.is_on_side(side, walk[-2], ahead_last, thing):
                        yield Act(kind, mention=mention, side=side), SIDE * weight, things


def _furnished_rooms(sight: Sight, walk: Walk) -> Iterator[tuple[Act, float, tuple[int, ...]]]:
    """Yield "enter" acts that identify the room by an object visible from its door."""
    door, inside = walk[-2:]
    ahead = sight.heading(door, inside)
    room = sight.survey.rooms[inside]
    for thing in sight.things[door]:
        if sight.survey.object_rooms[thing] != room:
            continue
        for mention, weight in mention_options(sight, door, ahead, thing):
            if not mention.ordinal:
                act = Act("enter", room=sight.room_kind(inside), mention=mention)
                yield act, 0.4 * weight, (thing,)


def statements(
    sight: Sight, path: Walk, position: int, facing: float
) -> Iterator[tuple[PlannedAct, float]]:
    """Yield statements about a viewpoint: its room, or an object on one side, with weights.

    Args:
        facing: Heading in radians on arrival.
    """
    here = path[position]
    room = sight.room_kind(here)
    is_start = position == 0
    is_new = is_start or sight.survey.rooms[here] != sight.survey.rooms[path[position - 1]]
    if is_new:
        yield PlannedAct(Act("at", room), position, position), 1.0
    for thing in sight.things[here]:
        side = _clear_side(sight, here, facing, thing, is_start)
        if not side:
            continue
        for mention, weight in mention_options(sight, here, facing, thing):
            if mention.ordinal:
                continue
            things = tuple(sight.referents(mention, here, facing)) if mention.plural else (thing,)
            if side != "behind":
                act = Act("see", mention=mention, side=side)
                yield PlannedAct(act, position, position, things), weight
            if is_start:
                act = Act("at", room, mention, side)
                yield PlannedAct(act, position, position, things), 2.0 * weight


def _clear_side(sight: Sight, here: int, facing: float, thing: int, is_start: bool) -> str:
    """Return the side of an object, or "" between two sides; "behind" only at the start."""
    angle = sight.angle(here, facing, thing)
    if abs(angle) <= 30:
        return "ahead"
    if 45 <= abs(angle) <= 130:
        return "right" if angle > 0 else "left"
    return "behind" if is_start and abs(angle) >= 150 else ""


def _stop_step(sight: Sight, path: Walk, facing: float, writer: Writer) -> PlannedAct | None:
    """Return the "stop" act with an object that identifies the goal; None if none is near.

    Args:
        facing: Heading in radians on arrival.
    """
    goal, last = path[-1], len(path) - 1
    room = sight.room_kind(goal)
    options: list[tuple[PlannedAct, float]] = []
    for thing in np.flatnonzero(sight.survey.near(goal) & sight.noticed[goal]).tolist():
        for mention, weight in mention_options(sight, goal, facing, thing):
            if mention.ordinal or mention.plural:
                continue
            if mention.colour:
                weight *= writer.habits.colours
            weight /= 0.5 + float(sight.survey.gaps[goal, thing])
            options.append((PlannedAct(Act("stop", mention=mention), last, last, (thing,)), weight))
            act = Act("stop", room, mention)
            options.append((PlannedAct(act, last, last, (thing,)), 0.4 * weight))
    if not options and room == STAIRWELL:
        return PlannedAct(Act("stop", room), last, last)
    return draw(options, writer.rng) if options else None


@dataclass(frozen=True)
class Plan:
    """Content of an instruction.

    Attributes:
        steps: Acts that describe the path.
        extras: Statements that can be added, with weights.
    """

    steps: tuple[PlannedAct, ...]
    extras: tuple[tuple[PlannedAct, float], ...]


class Planner:
    """Planner of instructions about the paths of a house."""

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        # Options of the last planned path by (position, heading): repeated drafts of one path visit
        # the same positions.
        self._path: Walk = ()
        self._options: dict[tuple[int, float], list[_Option]] = {}
        self._statements: dict[tuple[int, float], list[tuple[PlannedAct, float]]] = {}
        self._suitabilities: dict[tuple[Act, Act | None, int, int, float, bool], float] = {}

    def plan(
        self, path: Walk, heading: float, writer: Writer, is_short: bool = False
    ) -> Plan | None:
        """Plan an instruction.

        Args:
            heading: Heading at the start: radians clockwise from +y.
            is_short: Whether to plan a short instruction instead of a detailed one.
        """
        sight = self._sight
        if path != self._path:
            self._path, self._options, self._statements, self._suitabilities = path, {}, {}, {}
        steps: list[PlannedAct] = []
        extras = list(self._statements_at(path, 0, heading))
        facing, position = heading, 0
        mentioned: set[str] = set()
        while position < len(path) - 1:
            key = (position, facing)
            if key not in self._options:
                self._options[key] = list(self._segments(path, position, facing))
            options = [
                (
                    segment,
                    weight
                    * _liking(writer.habits, segment, is_short)
                    * (_REPEATED if _nouns(segment) & mentioned else 1.0),
                )
                for segment, weight in self._options[key]
            ]
            if not options:
                return None
            segment = self._suitable(options, path, facing, writer, is_short)
            mentioned |= _nouns(segment)
            steps += segment
            position = segment[-1].last
            facing = sight.heading(path[position - 1], path[position])
            # "Enter the kitchen" makes "you are in the kitchen" redundant.
            is_entered = segment[-1].act.kind == "enter"
            extras += [
                (step, weight)
                for step, weight in self._statements_at(path, position, facing)
                if not (is_entered and step.act.kind == "at")
            ]
        stop = _stop_step(sight, path, facing, writer)
        if stop is None:
            return None
        return Plan((*steps, stop), tuple(extras))

    def _statements_at(
        self, path: Walk, position: int, facing: float
    ) -> list[tuple[PlannedAct, float]]:
        key = (position, facing)
        if key not in self._statements:
            found = statements(self._sight, path, position, facing)
            self._statements[key] = list(found)
        return self._statements[key]

    def _segments(self, path: Walk, position: int, facing: float) -> Iterator[_Option]:
        """Yield descriptions of the next edges of the path, with weights."""
        sight = self._sight
        turn = _turn(sight.relative(sight.heading(*path[position : position + 2]), facing))
        for act, last, weight, things in act_options(sight, path, position):
            walk = path[position : last + 1]
            goes_straight = is_straight(sight, walk, facing)
            # "The first door on your left" implies the turn.
            for first_turn in (None, turn) if turn and act.kind != "door" else (None,):
                if not agrees(sight, act, walk, facing, first_turn is not None):
                    continue
                goes_on = is_straight(sight, walk, None) if first_turn else goes_straight
                segment = [PlannedAct(act, position, last, things, goes_on)]
                if first_turn:
                    segment.insert(0, PlannedAct(first_turn, position, position))
                yield segment, weight

    def _suitable(
        self,
        options: Sequence[_Option],
        path: Walk,
        facing: float,
        writer: Writer,
        is_short: bool,
    ) -> list[PlannedAct]:
        """Draw an option, accept it with the probability of its suitability, or draw again."""
        best, highest = options[0][0], -1.0
        for _ in range(DRAWS):
            segment = draw(options, writer.rng)
            suitability = self._suitability(segment, path, facing, is_short)
            if writer.rng.random() < suitability:
                return segment
            if suitability > highest:
                best, highest = segment, suitability
        return best

    def _suitability(
        self, segment: list[PlannedAct], path: Walk, facing: float, is_short: bool
    ) -> float:
        """Return how well a reader understands a segment without knowing its result, 0 to 1."""
        step = segment[-1]
        turn = segment[0].act if len(segment) > 1 else None
        key = (step.act, turn, step.first, step.last, facing, is_short)
        if key not in self._suitabilities:
            act, walk, walked = step.act, path[step.first : step.last + 1], path[: step.first + 1]
            taken = online_walk(self._sight, act, turn, walked, facing, ())
            is_open = act.kind in OPEN_ENDED
            suitability = 1.0 if (taken[: len(walk)] if is_open else taken) == walk else _MISLEADING
            if not is_short:
                clarity = self._clarity(act, walked, walk[-1], facing, turn)
                if act.kind == "enter" and not self._shows_room(walk):
                    clarity *= _HIDDEN_ROOM_SHARE
                suitability *= clarity**_CLARITY_POWER
            self._suitabilities[key] = suitability
        return self._suitabilities[key]

    def _clarity(self, act: Act, walked: Walk, end: int, facing: float, turn: Act | None) -> float:
        """Return the share of the walks fitting an act that end at a viewpoint.

        Args:
            facing: Heading in radians on arrival at the first viewpoint of the walks.
        """
        ends = [
            walk[-1]
            for walk in fitting_walks(self._sight, act, walked, facing, turn is not None)
            if fits_turn(self._sight, turn, walk, facing)
        ]
        return ends.count(end) / len(ends)

    def _shows_room(self, walk: Walk) -> bool:
        """Return whether an object of the last room is visible in the direction of a walk."""
        survey, here = self._sight.survey, walk[0]
        within = survey.object_rooms == survey.rooms[walk[-1]]
        return bool(survey.areas[here, survey.view(here, walk[1]), within].sum() >= NOTICED)


def with_statements(plan: Plan, count: int, writer: Writer) -> list[PlannedAct]:
    """Return the steps of a plan with up to `count` of its statements, without repeated nouns."""
    chosen: list[PlannedAct] = []
    for _ in range(count):
        used = [step.first for step in chosen]
        nouns = _nouns(chosen)
        options = [
            (step, weight)
            for step, weight in plan.extras
            if step.first not in used
            and not _nouns([step]) & (nouns | _nouns(_beside(plan.steps, step.first)))
        ]
        if not options:
            break
        chosen.append(draw(options, writer.rng))
    steps: list[PlannedAct] = []
    planned = list(plan.steps)
    for number, step in enumerate(planned):
        begins = number == 0 or planned[number - 1].last > planned[number - 1].first
        if begins:
            steps += [statement for statement in chosen if statement.first == step.first]
        steps.append(step)
    return steps


def _liking(habits: Habits, segment: Sequence[PlannedAct], is_short: bool) -> float:
    """Return the factor of an annotator's habits on the weight of a segment."""
    step = segment[-1]
    act, mention = step.act, step.act.mention
    factor = 1.0
    if len(segment) > 1:
        factor = habits.turns if step.first else _FIRST_TURN
        factor *= _SLIGHT_TURN if segment[0].act.kind == "slight" else 1.0
    if is_short:
        factor *= habits.brevity ** (step.last - step.first - 1)
    if act.kind == "door":
        factor *= habits.doors
    if act.kind == "straight":
        factor *= habits.straight
    if act.room:
        factor *= habits.rooms
    if mention:
        factor *= habits.landmarks
        factor *= habits.colours if mention.colour else 1.0
    return factor * (habits.ordinals if act.ordinal or (mention and mention.ordinal) else 1.0)


def _turn(angle: float) -> Act | None:
    """Return the turn for an angle in degrees clockwise, or None for straight ahead."""
    size, side = abs(angle), "right" if angle > 0 else "left"
    if size < _SMALLEST_TURN:
        return None
    if size > BEHIND + _AROUND_MARGIN:
        return Act("around")
    return Act("turn" if size >= SHARP_TURN else "slight", side=side)


def _beside(steps: Sequence[PlannedAct], position: int) -> list[PlannedAct]:
    """Return the steps that begin or end within one edge of a position."""
    return [step for step in steps if step.first - 1 <= position <= step.last + 1]


def _nouns(steps: Sequence[PlannedAct]) -> set[str]:
    return {step.act.mention.noun for step in steps if step.act.mention}
