"""Write the instructions of a house: plan, realise, read back, and follow.

A text is written again if the grammar does not read the plan from it, if the path that it describes
does not end at the goal, or if an agent without a map would not get there. The last rule is not
applied to a share of the texts, as people do not always get there either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.envs.houses.language.acts import TURNS, Act, Instruction, PlannedAct
from clipnav.envs.houses.language.annotators import Annotator, Writer, annotators_of
from clipnav.envs.houses.language.grammar import Language, parse
from clipnav.envs.houses.language.grammars.languages import R2R_TAG, language_of
from clipnav.envs.houses.language.plan import Plan, Planner, with_statements
from clipnav.envs.houses.language.realiser import realise_acts
from clipnav.envs.houses.language.sight import Sight
from clipnav.envs.houses.language.symbolic_follower import follow, follow_online
from clipnav.envs.houses.survey.routes import Routes
from clipnav.envs.houses.survey.visibility import Survey
from clipnav.envs.metrics import SUCCESS_THRESHOLD

WORDINGS = 6  # attempts per plan
UNPLANNED = 3  # attempts without a plan after which a text is given up


@dataclass(frozen=True)
class Style:
    """Kind of instructions.

    Attributes:
        is_short: Whether texts are short, with acts of several edges (R2R), or long (RxR).
        words: Number of words, fewest and most.
        statements: Range of the initial number of statements; the end is exclusive.
        attempts: Number of plans that are tried.
        checked: Share of the texts that an agent without a map must be able to follow.
        omissions: Probability that a text leaves out one of its turns.
    """

    is_short: bool
    words: tuple[int, int]
    statements: tuple[int, int]
    attempts: int
    checked: float
    omissions: float


SHORT = Style(True, (10, 60), (0, 2), 24, 0.45, 0.05)
LONG = Style(False, (60, 110), (2, 6), 12, 0.96, 0.0)


@dataclass(frozen=True)
class WrittenText:
    """An instruction with its language, annotator and acts."""

    tag: str
    annotator: Annotator
    instruction: Instruction
    acts: tuple[Act, ...]


class TextWriter:
    """Writer of the instructions about the paths of a house."""

    def __init__(self, survey: Survey, routes: Routes, rng: np.random.Generator) -> None:
        self.sight = Sight(survey)
        self.rng = rng
        self._routes = routes
        self._planner = Planner(self.sight)

    def short(self, path: tuple[int, ...], heading: float, count: int) -> list[WrittenText]:
        """Write R2R-style texts of several annotators; none if one of them fails.

        Args:
            heading: Heading at the start: radians clockwise from +y.
        """
        people = annotators_of(R2R_TAG)
        texts: list[WrittenText] = []
        for number in self.rng.choice(len(people), size=count, replace=False):
            written = self.write(R2R_TAG, people[number], path, heading, SHORT)
            if written is None or written.instruction.text in [
                text.instruction.text for text in texts
            ]:
                return []
            texts.append(written)
        return texts

    def long(self, tag: str, path: tuple[int, ...], heading: float) -> WrittenText | None:
        """Write an RxR-style text; None if every attempt fails.

        Args:
            heading: Heading at the start: radians clockwise from +y.
        """
        people = annotators_of(tag)
        annotator = people[int(self.rng.integers(len(people)))]
        return self.write(tag, annotator, path, heading, LONG)

    def write(
        self, tag: str, annotator: Annotator, path: tuple[int, ...], heading: float, style: Style
    ) -> WrittenText | None:
        """Write a text of one annotator; None if every attempt fails.

        A short text that no agent without a map can follow is returned if no other is found.
        """
        language = language_of(tag)
        must_lead = self.rng.random() < style.checked
        second_best, unplanned = None, 0
        for _ in range(style.attempts):
            writer = Writer(annotator, self.rng)
            plan = self._planner.plan(path, heading, writer, style.is_short)
            if plan is None:  # mostly, no plan of this path can be made
                unplanned += 1
                if unplanned == UNPLANNED:
                    break
                continue
            written = self._draft(language, plan, writer, style)
            if written is None:
                continue
            steps, instruction = written
            acts = [step.act for step in steps]
            if parse(language, instruction.text) != acts or not self._reaches(
                acts, path, heading, style
            ):
                continue
            text = WrittenText(tag, annotator, instruction, tuple(acts))
            if not must_lead or self.is_hit(
                follow_online(self.sight, acts, path[0], heading)[-1], path
            ):
                return text
            second_best = text
        return second_best if style.is_short else None

    def is_hit(self, end: int, path: tuple[int, ...]) -> bool:
        """Return whether a viewpoint is within 3 m of the end of a path."""
        return bool(self._routes.lengths[end, path[-1]] <= SUCCESS_THRESHOLD)

    def _draft(
        self, language: Language, plan: Plan, writer: Writer, style: Style
    ) -> tuple[Sequence[PlannedAct], Instruction] | None:
        """Return the acts and the text of a plan, or None if it cannot have the right length."""
        rng, (fewest, most) = self.rng, style.words
        statements = int(rng.integers(*style.statements))
        if style.is_short and rng.random() >= writer.habits.statements:
            statements = 0
        for _ in range(WORDINGS):
            steps = with_statements(plan, statements, writer)
            if rng.random() < style.omissions:
                steps = _without_a_turn(steps, rng)
            instruction = realise_acts(language, steps, writer)
            words = len(instruction.text.split(" "))
            if fewest <= words <= most:
                return steps, instruction
            statements = max(0, statements + (1 if words < fewest else -1))
        return None

    def _reaches(
        self, acts: Sequence[Act], path: tuple[int, ...], heading: float, style: Style
    ) -> bool:
        """Return whether a text leads to the goal: a long one in all its interpretations."""
        followed = follow(self.sight, acts, path[0], heading)
        ends = {followed.path[-1]} if style.is_short else followed.ends
        return followed.is_complete and all(self.is_hit(end, path) for end in ends)


def _without_a_turn(steps: list[PlannedAct], rng: np.random.Generator) -> list[PlannedAct]:
    turns = [number for number, step in enumerate(steps) if step.act.kind in TURNS]
    if not turns:
        return steps
    left_out = turns[int(rng.integers(len(turns)))]
    return [*steps[:left_out], *steps[left_out + 1 :]]
