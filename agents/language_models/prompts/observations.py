"""Observations in words and pictures: what a strategy may put into a prompt.

An observation contains nothing about the goal: no distance to it, no teacher's action, no metrics.
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from clipnav.agents.language_models.settings import PromptConfig
from clipnav.envs.goals.boxes import SeenObject
from clipnav.envs.graphs import wrap_angle
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.objects import WorldObjects
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.storage.errors import UserError

_MOST_LETTERS = len(string.ascii_uppercase)
_STEP = 10  # degrees to which the directions of candidates are rounded
_RISE = 0.3  # metres from which a place is above or below
_WORDS = ("ahead", "right", "behind", "left")


@dataclass(frozen=True)
class Option:
    """Possible action of a decision.

    Attributes:
        label: Label in the prompt, "A" or "1".
        action: Action of the environment; 0 is stop.
        place: Number of the place that it leads to; None for stop.
        words: Direction, distance and whether the place has been visited.
        view: Picture of the place; None for stop.
        points: Pixel or waypoints of an answer in space, see `PointForm`; such options are not
            part of a prompt.
    """

    label: str
    action: int
    place: int | None = None
    words: str = ""
    view: ViewPose | None = None
    points: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True)
class PastDecision:
    """Earlier decision of the episode.

    Attributes:
        place: Number of the place where it was made.
        option: Chosen option; None if the agent stayed after an invalid answer.
        thought: Thought of the model.
        plan: Plan of the model.
    """

    place: int
    option: Option | None
    thought: str = ""
    plan: str = ""


@dataclass(frozen=True)
class Observation:
    """Everything that an agent knows at a decision.

    Attributes:
        instruction: Instruction with single blanks.
        step: Number of the decision, from 0.
        limit: Largest number of decisions.
        options: Options in the order of the prompt.
        trajectory: Numbers of the places walked.
        connections: Numbers of the neighbours of each visited place.
        views: Picture of each known place that has one, by its number.
        around: Views around the agent with their directions in words, first the view ahead.
        history: Earlier decisions.
        settings: Contents and wording of the prompt.
    """

    instruction: str
    step: int
    limit: int
    options: tuple[Option, ...]
    trajectory: tuple[int, ...]
    connections: Mapping[int, tuple[int, ...]]
    views: Mapping[int, ViewPose]
    around: tuple[tuple[str, ViewPose], ...]
    history: tuple[PastDecision, ...]
    settings: PromptConfig

    @property
    def place(self) -> int:
        """Number of the place where the agent is."""
        return self.trajectory[-1]

    def past_views(self) -> list[tuple[int, ViewPose]]:
        """Return the pictures of known places that are no options now, in the order of numbers.

        The places walked or seen last are kept if there are more than `history_pictures`.
        """
        shown = {option.place for option in self.options} | {self.place}
        others = [number for number in self.views if number not in shown]
        last = {number: step for step, number in enumerate(self.trajectory)}
        others.sort(key=lambda number: (last.get(number, -1), number))
        kept = others[max(0, len(others) - self.settings.history_pictures) :]
        return [(number, self.views[number]) for number in sorted(kept)]


@dataclass(frozen=True)
class ObjectObservation:
    """What an agent knows when it has stopped and is to point out an object.

    Attributes:
        instruction: Instruction with single blanks.
        options: The objects that are visible: their views are crops, their words directions, with
            names in prompts without pictures.
        settings: Contents and wording of the prompt.
    """

    instruction: str
    options: tuple[Option, ...]
    settings: PromptConfig


def object_options(
    objects: WorldObjects, node: int, here: ViewPose, first: int, settings: PromptConfig
) -> tuple[Option, ...]:
    """Return the objects of a viewpoint as options, with numbers as labels.

    Args:
        first: Action that points out object 0.
    """
    options = []
    for index in np.flatnonzero(objects.mask[node]).tolist():
        name = objects.names[node, index] if settings.picture_kind == "none" else ""
        seen = SeenObject.of("", name, objects.directions[node, index], objects.sizes[node, index])
        heading, elevation, vfov = seen.crop
        angle = _relative_angle(heading, here.heading)
        words = ", ".join(filter(None, (name, direction_words(angle, settings.direction_words))))
        view = here._replace(heading=heading, elevation=elevation, vfov=vfov)
        options.append(Option(str(len(options) + 1), first + index, None, words, view))
    return tuple(options)


def one_line(text: str) -> str:
    """Return a text with single blanks; R2R's texts contain line breaks and double blanks."""
    return " ".join(text.split())


def make_options(
    candidates: Sequence[ObservedCandidate],
    places: KnownPlaces,
    here: ViewPose,
    can_stop: bool,
    settings: PromptConfig,
) -> tuple[Option, ...]:
    """Return the options of a decision: stop, then the candidates."""
    ordered = list(candidates)
    if settings.option_order == "clockwise":
        ordered.sort(key=lambda one: _relative_angle(one.heading, here.heading))
    options = [Option("", 0)] if can_stop else []
    for candidate in ordered:
        number = places.number(candidate.viewpoint)
        view = here._replace(heading=candidate.heading)
        words = describe(candidate, here.heading, number in places.connections, settings)
        options.append(Option("", candidate.action, number, words, view))
    if settings.labels == "numbers":
        labels = [str(option.action) for option in options]
    elif len(options) > _MOST_LETTERS:
        raise UserError(
            f"{len(options)} options at a viewpoint of {here.scan}, but {_MOST_LETTERS} letters; "
            "use --labels numbers"
        )
    else:
        labels = list(string.ascii_uppercase[: len(options)])
    return tuple(
        replace(option, label=label) for label, option in zip(labels, options, strict=True)
    )


def describe(
    candidate: ObservedCandidate, heading: float, visited: bool, settings: PromptConfig
) -> str:
    """Return direction, distance, storey and visits of a candidate in words."""
    parts = [
        direction_words(_relative_angle(candidate.heading, heading), settings.direction_words),
        f"{candidate.distance:.1f} m",
    ]
    if abs(candidate.rise) > _RISE:
        parts.append("up" if candidate.rise > 0 else "down")
    if visited:
        parts.append("visited")
    return ", ".join(parts)


def _relative_angle(heading: float, reference: float) -> float:
    """Return a heading relative to another one, in radians from -pi to pi; right is positive."""
    return wrap_angle(heading - reference)


def direction_words(angle: float, style: str = "degrees", step: int = _STEP) -> str:
    """Return a relative heading in words: "40 degrees to the left", or "left".

    Args:
        style: "degrees", rounded to multiples of `step`, or "words".
    """
    degrees = round(math.degrees(angle), 4)  # halves are rounded alike on all machines
    if style == "words":
        return _WORDS[round(degrees / 90) % 4]
    rounded = step * round(degrees / step)
    if rounded == 0:
        return "straight ahead"
    if abs(rounded) == 180:
        return "straight behind"
    return f"{abs(rounded)} degrees to the {'right' if rounded > 0 else 'left'}"


def views_around(here: ViewPose, count: int, style: str) -> tuple[tuple[str, ViewPose], ...]:
    """Return views at equal angles from the agent's heading clockwise, with their directions.

    More views than there are words for directions have them in degrees.
    """
    style = style if count <= len(_WORDS) else "degrees"
    views = []
    for number in range(count):
        turn = 2 * math.pi * number / count
        words = direction_words(_relative_angle(turn, 0.0), style, 1)
        views.append((words, here._replace(heading=here.heading + turn)))
    return tuple(views)


@dataclass(frozen=True)
class ObservedCandidate:
    """Neighbour of the current viewpoint, with its exact direction.

    Attributes:
        heading: Absolute heading in radians.
        distance: Metres.
        rise: Metres by which its camera is higher.
    """

    action: int
    viewpoint: str
    heading: float
    distance: float
    rise: float


def candidates_of(world: NavWorld, node: int) -> list[ObservedCandidate]:
    """Return the candidates of a node in the environment's order."""
    graph = world.graphs[world.scan_names[node]]
    here = graph.positions[world.locals[node]]
    candidates = []
    for action in np.flatnonzero(world.valid[node, 1:]) + 1:
        target = world.targets[node, action]
        offset = graph.positions[world.locals[target]] - here
        candidates.append(
            ObservedCandidate(
                action=int(action),
                viewpoint=str(world.viewpoint_ids[target]),
                heading=float(np.arctan2(offset[0], offset[1])),
                distance=float(np.linalg.norm(offset)),
                rise=float(offset[2]),
            )
        )
    return candidates


class KnownPlaces:
    """Places that an agent has visited or seen as candidates.

    Attributes:
        connections: Numbers of the candidates of each visited place.
        views: Picture of each place: the view from where it was last seen as a candidate. The
            start has none until then.
    """

    def __init__(self) -> None:
        self.trajectory: list[int] = []
        self.connections: dict[int, tuple[int, ...]] = {}
        self.views: dict[int, ViewPose] = {}
        self._numbers: dict[str, int] = {}

    def arrive(self, scan: str, viewpoint: str, candidates: Sequence[ObservedCandidate]) -> None:
        """Record the arrival at a viewpoint: first it gets a number, then its candidates do."""
        here = self._number(viewpoint)
        self.trajectory.append(here)
        self.connections[here] = tuple(self._number(one.viewpoint) for one in candidates)
        for candidate in candidates:
            number = self.number(candidate.viewpoint)
            self.views[number] = ViewPose(scan, viewpoint, candidate.heading)

    def number(self, viewpoint: str) -> int:
        """Return the number of a known viewpoint."""
        return self._numbers[viewpoint]

    @property
    def current(self) -> int:
        """Number of the place where the agent is."""
        return self.trajectory[-1]

    def __len__(self) -> int:
        return len(self._numbers)

    def _number(self, viewpoint: str) -> int:
        return self._numbers.setdefault(viewpoint, len(self._numbers))
