"""Write planned clauses as plain English, in the style of R2R."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from clipnav.envs.houses.survey.clauses import Clause, Instruction, Span

PHRASES: dict[str, tuple[str, ...]] = {
    "leave": ("leave {room}", "exit {room}", "walk out of {room}", "go out of {room}"),
    "enter": ("enter {room}", "go into {room}", "walk into {room}"),
    "through": ("walk through {room}", "go through {room}", "cross {room}"),
    "hallway": ("walk down {room}", "go down {room}", "continue down {room}"),
    "past": ("walk past {landmark}", "go past {landmark}", "pass {landmark}"),
    "across": ("walk over {landmark}", "go over {landmark}", "cross {landmark}"),
    "toward": ("walk towards {landmark}", "go towards {landmark}", "head for {landmark}"),
    "up": ("go up the stairs", "walk up the stairs", "climb the stairs"),
    "down": ("go down the stairs", "walk down the stairs", "take the stairs down"),
    "turn": ("turn {side}", "go {side}", "take a {side}"),
    "stop": (
        "stop by {landmark}",
        "stop next to {landmark}",
        "wait by {landmark}",
        "wait next to {landmark}",
        "stop near {landmark}",
    ),
}
HALLWAY_NAMES = ("hallway", "hall")
# Order of clauses at one viewpoint: turn, pass, leave, approach, enter, walk through, stop.
_ORDER = {
    "turn": 0,
    "past": 1,
    "across": 1,
    "leave": 2,
    "toward": 3,
    "up": 3,
    "down": 3,
    "enter": 4,
    "through": 5,
    "stop": 6,
}


def sort_clauses(clauses: Iterable[Clause]) -> list[Clause]:
    """Sort clauses by their position in the path."""
    return sorted(clauses, key=lambda clause: (clause.first, _ORDER[clause.kind]))


def realise_clauses(clauses: Sequence[Clause], rng: np.random.Generator) -> Instruction:
    """Write a plan as text."""
    hallway = HALLWAY_NAMES[int(rng.random() < 0.4)]
    text = phrase = ""
    spans = []
    for sentence in _sentences(len(clauses), rng):
        for place, number in enumerate(sentence):
            clause, before = clauses[number], clauses[number - 1]
            connective = _connective(sentence, place, not text, rng)
            pattern = _pattern(clause, phrase, rng)
            phrase = _phrase(clause, pattern, hallway)
            if place and before.kind == "turn" and clause.kind == "enter":
                connective, phrase = " ", "into" + phrase[phrase.index(" the ") :]
            elif connective == " and " and before.kind == clause.kind == "past" and not before.side:
                phrase = phrase[phrase.index("the ") :]
            elif not place:
                phrase = phrase[0].upper() + phrase[1:]
            text += connective
            things = clause.landmark.things if clause.landmark else ()
            spans.append(
                Span(len(text), len(text) + len(phrase), clause.first, clause.last, things)
            )
            text += phrase
    return Instruction(f"{text}.", tuple(spans))


def _pattern(clause: Clause, before: str, rng: np.random.Generator) -> str:
    """Draw a pattern that does not begin with the verb of the previous phrase."""
    is_hallway = clause.kind == "through" and clause.room == "hallway"
    patterns = PHRASES["hallway" if is_hallway else clause.kind]
    verb = before.lower().split(" ")[0]
    options = [pattern for pattern in patterns if pattern.split()[0] != verb]
    return options[rng.integers(len(options))]


def _phrase(clause: Clause, pattern: str, hallway: str) -> str:
    """Return the text of one clause, independent of its position in the sentence."""
    room = f"the {hallway if clause.room == 'hallway' else clause.room}"
    landmark = f"the {clause.landmark.words}" if clause.landmark else ""
    phrase = pattern.format(room=room, landmark=landmark, side=clause.side)
    if clause.kind == "enter" and landmark:
        phrase += f" with {landmark}"
    if clause.kind == "past" and clause.side:
        phrase += f" on your {clause.side}"
    if clause.kind == "stop" and clause.room:
        phrase += f" in {room}"
    return phrase


def _sentences(count: int, rng: np.random.Generator) -> list[list[int]]:
    """Split clauses 0..count-1 into sentences of one to three; the last is often alone."""
    sentences = []
    numbers = list(range(count))
    tail = [numbers.pop()] if rng.random() < 0.6 else []
    while numbers:
        size = int(rng.choice([1, 2, 3], p=[0.15, 0.6, 0.25]))
        sentences.append(numbers[:size])
        numbers = numbers[size:]
    return [*sentences, tail] if tail else sentences


def _connective(sentence: list[int], place: int, is_start: bool, rng: np.random.Generator) -> str:
    """Return the text before a clause: the end of a sentence, a comma, "and" or "then"."""
    if place == 0:
        return "" if is_start else ". "
    if place < len(sentence) - 1:
        return ", "
    return " and " if rng.random() < 0.8 else ", then "
