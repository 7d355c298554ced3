"""Plans what a long, spoken-style instruction says about a path, in no language.

The path is cut into stretches, each told by one act that is true of it: a room left or entered, a
landmark passed or made for, a doorway counted, a turn. One who follows does not know what comes of
a step before it is taken, so that acts that other walks from the same place fit as well, or whose
way does not show where it begins, are hardly ever chosen. Statements of what one sees are put
between until the instruction is as long as wanted, and a landmark pins the goal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, product

import numpy as np

from envs.houses.language.acts import EDGES, Act, Mention, Step
from envs.houses.language.grammar import DISTANCES, Language
from envs.houses.language.mentions import ways_to_mention
from envs.houses.language.sight import BEHIND, Sight
from envs.houses.language.statements import statements, stop_step
from envs.houses.language.symbolic_follower import fits_turn, walks
from envs.houses.language.walking import Walk, agrees
from envs.houses.plan.room_layout import HALL_KINDS
from envs.houses.survey.landmarks import NOTICED
from envs.houses.survey.waymarks import draw

# How readily each way to tell a stretch is taken where it fits.
WEIGHTS = {
    "straight": 0.25,
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
CLEARNESS = 16  # power of the share of fitting walks that end where the right one does
HIDDEN = 0.7  # what this share is worth where the room that is entered does not show at first
SLIGHTEST = 23  # degrees of a turn that is said
CLEARLY = 12  # degrees more than a follower asks for, to say that a turn leads back


@dataclass(frozen=True)
class Plan:
    """Steps that tell a path, and statements that could be added, each with its weight."""

    steps: tuple[Step, ...]
    extras: tuple[tuple[Step, float], ...]


class Planner:
    """Plans instructions about the paths of a house.

    Args:
        sight: The house.
    """

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._alike = _Alike(sight)
        # How to tell the path that was planned last, from a position on: who drafts it again, in
        # any language, comes by the same positions.
        self._path: Walk = ()
        self._ways: dict[tuple[str, int, float], list[tuple[list[Step], float]]] = {}

    def plan(
        self, language: Language, path: Walk, heading: float, rng: np.random.Generator
    ) -> Plan | None:
        """Plans an instruction.

        Args:
            language: What its lexicon lacks is not mentioned.
            path: Viewpoints from start to goal.
            heading: Radians clockwise from +y at the start.
            rng: Source of all choices.

        Returns:
            A plan, or None if no landmark pins the goal, or a flight of stairs is left halfway.
        """
        sight = self._sight
        if path != self._path:
            self._path, self._ways = path, {}
        steps: list[Step] = []
        extras = list(statements(sight, language, path, 0, heading))
        facing, position = heading, 0
        spoken: set[str] = set()
        while position < len(path) - 1:
            key = (language.tag, position, facing)
            if key not in self._ways:
                self._ways[key] = list(self._stretches(language, path, position, facing))
            options = [
                (told, weight * (0.3 if _nouns(told) & spoken else 1.0))
                for told, weight in self._ways[key]
            ]
            if not options:
                return None
            told = draw(options, rng)
            spoken |= _nouns(told)
            steps += told
            position = told[-1].last
            facing = sight.heading(path[position - 1], path[position])
            is_entered = told[-1].act.kind == "enter"  # which says already where one is
            extras += [
                (step, weight)
                for step, weight in statements(sight, language, path, position, facing)
                if not (is_entered and step.act.kind == "at")
            ]
        stop = stop_step(sight, language, path, facing, rng)
        if stop is None:
            return None
        return Plan((*steps, stop), tuple(extras))

    def _stretches(
        self, language: Language, path: Walk, position: int, facing: float
    ) -> Iterator[tuple[list[Step], float]]:
        """Ways to tell the path's next edges, with weights."""
        sight, come = self._sight, path[: position + 1]
        turn = _turn(sight.relative(sight.heading(*path[position : position + 2]), facing))
        for act, last, weight, things in _acts(sight, language, path, position, facing):
            walk = path[position : last + 1]
            shown = 1.0 if act.kind != "enter" or self._shows_room(walk) else HIDDEN
            # "The first door on your left" says the turn already.
            for said in (None, turn) if turn and act.kind != "door" else (None,):
                if not agrees(sight, act, walk, facing, said is not None):
                    continue
                clear = shown * self._clearness(act, come, walk[-1], facing, said)
                told = [Step(act, position, last, things)]
                if said:
                    told.insert(0, Step(said, position, position))
                yield told, weight * clear**CLEARNESS

    def _clearness(self, act: Act, come: Walk, end: int, facing: float, turn: Act | None) -> float:
        """Share of the walks on from the end of one that an act fits that end where it should."""
        ends = [
            walk[-1]
            for walk in self._alike.walks_of(act, come, facing, turn is not None)
            if fits_turn(self._sight, turn, walk, facing)
        ]
        return ends.count(end) / len(ends)

    def _shows_room(self, walk: Walk) -> bool:
        """Whether something of the room into which a walk leads shows in its direction."""
        survey, here = self._sight.survey, walk[0]
        within = survey.object_rooms == survey.rooms[walk[-1]]
        return bool(survey.areas[here, survey.view(here, walk[1]), within].sum() >= NOTICED)


def with_statements(plan: Plan, count: int, rng: np.random.Generator) -> list[Step]:
    """The steps of a plan with some of its statements, none of which repeats a noun there."""
    chosen: list[Step] = []
    for _ in range(count):
        taken = [one.first for one in chosen]
        nouns = _nouns(chosen)
        left = [
            (step, weight)
            for step, weight in plan.extras
            if step.first not in taken
            and not _nouns([step]) & (nouns | _nouns(_beside(plan.steps, step.first)))
        ]
        if not left:
            break
        chosen.append(draw(left, rng))
    steps: list[Step] = []
    told = list(plan.steps)
    for number, step in enumerate(told):
        begins = number == 0 or told[number - 1].last > told[number - 1].first
        if begins:
            steps += [one for one in chosen if one.first == step.first]
        steps.append(step)
    return steps


class _Alike:
    """All walks from a place that acts would fit, whichever walk is meant.

    Paths of a house come by the same places again and again, so what was found is kept.
    """

    def __init__(self, sight: Sight) -> None:
        self._sight = sight
        self._walks: dict[tuple[int, str], list[Walk]] = {}
        self._fitting: dict[tuple[int, Act, float | None], list[Walk]] = {}

    def walks_of(self, act: Act, come: Walk, facing: float, is_turned: bool) -> list[Walk]:
        """Walks on from the end of one that an act fits, where it stands after a turn or not."""
        here, kind = come[-1], act.kind
        # Where one faces matters to these alone, and a turn to the first of them.
        asked = facing if kind == "door" or (kind == "straight" and not is_turned) else None
        key = (here, act, asked)
        if key not in self._fitting:
            if (here, kind) not in self._walks:
                self._walks[here, kind] = list(walks(self._sight, kind, here, (here,)))
            self._fitting[key] = [
                walk
                for walk in self._walks[here, kind]
                if agrees(self._sight, act, walk, facing, is_turned)
            ]
        return [walk for walk in self._fitting[key] if not any(step in come for step in walk[1:])]


def _turn(angle: float) -> Act | None:
    """The turn that a step by so many degrees clockwise asks for, None for straight on."""
    size, side = abs(angle), "right" if angle > 0 else "left"
    if size < SLIGHTEST:
        return None
    if size > BEHIND + CLEARLY:
        return Act("around")
    return Act("turn" if size >= 55 else "slight", side=side)


def _acts(
    sight: Sight, language: Language, path: Walk, position: int, facing: float
) -> Iterator[tuple[Act, int, float, tuple[int, ...]]]:
    """Acts that may tell a stretch from a position on: (act, last position, weight, things)."""
    for kind, (fewest, most) in EDGES.items():
        for last in range(position + fewest, min(position + most, len(path) - 1) + 1):
            walk = path[position : last + 1]
            climbs = any(sight.survey.climb(here, there) for here, there in pairwise(walk))
            if climbs != (kind in ("up", "down")):  # stairs are told as such
                continue
            for act, weight, things in _acts_of_kind(sight, language, kind, walk):
                yield act, last, weight * WEIGHTS[kind], things


def _acts_of_kind(
    sight: Sight, language: Language, kind: str, walk: Walk
) -> Iterator[tuple[Act, float, tuple[int, ...]]]:
    room, into = sight.room_kind(walk[0]), sight.room_kind(walk[-1])
    if kind in ("past", "toward", "reach", "across"):
        yield from _landmark_acts(sight, language, kind, walk)
    elif kind == "enter" and into in language.rooms:
        yield Act(kind, room=into), 1.0, ()
        yield from _furnished_rooms(sight, language, walk)
    elif kind == "door" and not _sees_closed_doors(sight, walk[0]):
        for side, ordinal in product(("left", "right"), (1, 2, 3)):
            yield Act(kind, side=side, ordinal=ordinal), 0.5 + 0.5 * ordinal, ()
    elif kind == "leave" and room in language.rooms:
        yield Act(kind, room), 0.2 if room in HALL_KINDS else 1.0, ()
    elif kind in ("end", "through", "along") and room in language.rooms:
        if kind == "end" or (kind == "along") == (room in HALL_KINDS):
            yield from ((act, 1.0, ()) for act in _with_distance(sight, Act(kind, room), walk))
    elif kind == "straight":
        yield from ((act, 1.0, ()) for act in _with_distance(sight, Act(kind), walk))
    elif kind in ("up", "down"):
        yield Act(kind), 1.0, ()


def _sees_closed_doors(sight: Sight, here: int) -> bool:
    """Whether doors are shut in sight of a viewpoint, so that counting doors may mislead."""
    return bool((sight.fits(Mention("closed door")) & sight.noticed[here]).any())


def _with_distance(sight: Sight, act: Act, walk: Walk) -> list[Act]:
    metres = round(sight.length(walk))
    acts = [act]
    if act.kind != "end" and metres in DISTANCES and len(walk) > 2:
        acts.append(Act(act.kind, act.room, metres=metres))
    return acts


def _landmark_acts(
    sight: Sight, language: Language, kind: str, walk: Walk
) -> Iterator[tuple[Act, float, tuple[int, ...]]]:
    here, ahead = walk[0], sight.heading(walk[0], walk[1])
    for thing in np.flatnonzero(sight.noticed[here]).tolist():
        noun_is_rug = sight.survey.objects[thing].category == "rug"
        if (kind == "across") != noun_is_rug and (kind == "across" or kind == "past"):
            continue
        if abs(sight.angle(here, ahead, thing)) > 80:
            continue
        area = float(sight.survey.areas[here, :, thing].max())
        for mention, weight in ways_to_mention(sight, language, here, ahead, thing):
            things = tuple(sight.meant(mention, here, ahead)) if mention.plural else (thing,)
            weight *= min(area, 0.15) / 0.15 + 0.2
            yield Act(kind, mention=mention), weight, things
            if kind == "past" and not mention.plural:
                ahead_last = sight.heading(*walk[-2:])
                for side in ("left", "right"):
                    if sight.is_on_side(side, walk[-2], ahead_last, thing):
                        yield Act(kind, mention=mention, side=side), weight, things


def _furnished_rooms(
    sight: Sight, language: Language, walk: Walk
) -> Iterator[tuple[Act, float, tuple[int, ...]]]:
    """Rooms that are told by what stands in them and shows from their door."""
    door, inside = walk[-2:]
    ahead = sight.heading(door, inside)
    room = sight.survey.rooms[inside]
    for thing in np.flatnonzero(sight.noticed[door]).tolist():
        if sight.survey.object_rooms[thing] != room:
            continue
        for mention, weight in ways_to_mention(sight, language, door, ahead, thing):
            if not mention.ordinal:
                act = Act("enter", room=sight.room_kind(inside), mention=mention)
                yield act, 0.4 * weight, (thing,)


def _beside(steps: Sequence[Step], position: int) -> list[Step]:
    """Steps of a plan that begin or end within an edge of a position."""
    return [one for one in steps if one.first - 1 <= position <= one.last + 1]


def _nouns(steps: Sequence[Step]) -> set[str]:
    return {step.act.mention.noun for step in steps if step.act.mention}
