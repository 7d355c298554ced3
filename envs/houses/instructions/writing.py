"""Write the instructions of a house: plan, realise, read back, and follow.

A text is written again if the grammar does not read the plan from it, if the path that it describes
does not end at the goal, or if an agent without a map would not get there. The last rule is not
applied to a share of the texts, as people do not always get there either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from clipnav.envs.graphs.routes import Routes
from clipnav.envs.houses.language.acts import STATEMENTS, TURNS, Act, Instruction, PlannedAct, Span
from clipnav.envs.houses.language.annotators import Annotator, Writer, annotators_of
from clipnav.envs.houses.language.grammar import CONTINUES, Language, parse
from clipnav.envs.houses.language.grammars.languages import R2R_TAG, language_of
from clipnav.envs.houses.language.misspellings import misspellings_of
from clipnav.envs.houses.language.plan import Plan, Planner, with_statements
from clipnav.envs.houses.language.sight import Sight
from clipnav.envs.houses.language.symbolic_follower import follow, follow_online
from clipnav.envs.houses.survey.visibility import Survey
from clipnav.envs.metrics import SUCCESS_THRESHOLD

_WORDINGS = 6  # attempts per plan
_UNPLANNED = 3  # attempts without a plan after which a text is given up


def realise_acts(language: Language, steps: Sequence[PlannedAct], writer: Writer) -> Instruction:
    """Write a plan as text.

    Two acts of one kind in succession use different patterns.
    """
    connectives, habits, rng = language.connectives, writer.habits, writer.rng
    has_capitals = language.writes_capitals and rng.random() < habits.capitals
    last_patterns: dict[str, str] = {}
    text, spans = "", []
    for sentence in sentences(steps, writer):
        sentence_start = len(text)
        if text:
            is_statement = _is_own_sentence(sentence[0])
            openers = connectives.statement_openers if is_statement else connectives.openers
            text += openers[writer.choose("", openers)]
        was_chained = False
        for place, step in enumerate(sentence):
            pattern, is_fused = _pattern(language, sentence, place, last_patterns, writer)
            if place:
                joints = connectives.after_participle if was_chained else connectives.inner
                text += " " if is_fused else joints[writer.choose("", joints)]
            was_chained = (
                place < len(sentence) - 1
                and language.can_chain(pattern)
                and rng.random() < connectives.participle_share
            )
            phrase = language.render(step.act, pattern, writer.choose, not was_chained)
            phrase = _misspelt(language, phrase, writer)
            spans.append(
                Span(len(text), len(text) + len(phrase), step.first, step.last, step.things)
            )
            text += phrase
        if has_capitals:
            first = text[sentence_start].upper()
            text = text[:sentence_start] + first + text[sentence_start + 1 :]
        text += connectives.stop
    if language.writes_capitals and rng.random() >= habits.stops:
        text = text.removesuffix(connectives.stop)
    return Instruction(text.rstrip(), tuple(spans))


def sentences(steps: Sequence[PlannedAct], writer: Writer) -> list[list[PlannedAct]]:
    """Split steps into sentences: each statement alone, walking acts in groups of one to three.

    A turn is never the last act of a sentence, because the next act is the walk after the turn.
    """
    grouped: list[list[PlannedAct]] = []
    free = 0  # number of acts that still fit in the sentence
    for step in steps:
        is_alone = _is_own_sentence(step)
        follows_turn = bool(grouped) and grouped[-1][-1].act.kind in TURNS
        if grouped and not is_alone and (follows_turn or free > 0):
            grouped[-1].append(step)
            free -= 1
        else:
            grouped.append([step])
            free = int(writer.rng.choice([0, 1, 2], p=writer.habits.sentences))
        if is_alone:
            free = 0
    return grouped


def _is_own_sentence(step: PlannedAct) -> bool:
    return step.act.kind in STATEMENTS and step.act.kind != "stop"


def _pattern(
    language: Language,
    sentence: Sequence[PlannedAct],
    place: int,
    last: dict[str, str],
    writer: Writer,
) -> tuple[str, bool]:
    """Return a pattern for a step, and whether it continues the turn before it."""
    step = sentence[place]
    patterns = language.patterns_for(step.act)
    fused = [pattern for pattern in patterns if pattern.startswith(CONTINUES)]
    follows_turn = place > 0 and sentence[place - 1].act.kind in TURNS
    is_fused = bool(fused) and follows_turn and writer.rng.random() < writer.habits.fusing
    options = fused if is_fused else [one for one in patterns if one not in fused]
    writer.is_straight = step.is_straight or step.act.kind in TURNS
    last[step.act.kind] = writer.pattern(options, last.get(step.act.kind, ""))
    return last[step.act.kind], is_fused


def _misspelt(language: Language, phrase: str, writer: Writer) -> str:
    """Return a phrase in which rarely a word is misspelt."""
    if not language.misspells:
        return phrase
    words = phrase.split(" ")
    for place in (writer.rng.random(len(words)) < writer.habits.misspellings).nonzero()[0]:
        wrong = [text for text in misspellings_of(words[place]) if text in language.right_words]
        if wrong:
            words[place] = wrong[int(writer.rng.integers(len(wrong)))]
    return " ".join(words)


@dataclass(frozen=True)
class TextStyle:
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


SHORT = TextStyle(True, (10, 60), (0, 2), 24, 0.45, 0.05)
LONG = TextStyle(False, (60, 110), (2, 6), 12, 0.96, 0.0)


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
        self,
        tag: str,
        annotator: Annotator,
        path: tuple[int, ...],
        heading: float,
        style: TextStyle,
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
                if unplanned == _UNPLANNED:
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
        self, language: Language, plan: Plan, writer: Writer, style: TextStyle
    ) -> tuple[Sequence[PlannedAct], Instruction] | None:
        """Return the acts and the text of a plan, or None if it cannot have the right length."""
        rng, (fewest, most) = self.rng, style.words
        statements = int(rng.integers(*style.statements))
        if style.is_short and rng.random() >= writer.habits.statements:
            statements = 0
        for _ in range(_WORDINGS):
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
        self, acts: Sequence[Act], path: tuple[int, ...], heading: float, style: TextStyle
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
