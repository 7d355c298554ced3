"""Puts a plan into the words of one language, sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from envs.houses.language.acts import STATEMENTS, TURNS, Step
from envs.houses.language.grammar import Language
from envs.houses.survey.clauses import Instruction, Span
from envs.houses.survey.waymarks import draw

MANNERS = 5040  # a multiple of every small number of synonyms


def realise(language: Language, steps: Sequence[Step], rng: np.random.Generator) -> Instruction:
    """Words a plan.

    One manner of speaking is drawn for the text: it keeps to the same synonyms and to one form of
    the imperative. Patterns vary; the last pattern of a kind is not used again at once.

    Args:
        language: Its grammar.
        steps: The plan.
        rng: Source of all choices.
    """
    manner = int(rng.integers(MANNERS))
    last_patterns: dict[str, str] = {}
    text, spans = "", []
    for sentence in sentences(steps, rng):
        sentence_start = len(text)
        joints = language.joints
        states = _stands_alone(sentence[0])
        text += draw(joints.statement_openers if states else joints.openers, rng) if text else ""
        for place, step in enumerate(sentence):
            is_last = place == len(sentence) - 1
            pattern = _pattern(language, step, last_patterns, rng)
            share = language.joints.participle_share
            chains = not is_last and language.can_chain(pattern) and rng.random() < share
            phrase = language.say(step.act, pattern, manner, not chains)
            spans.append(
                Span(len(text), len(text) + len(phrase), step.first, step.last, step.things)
            )
            text += phrase
            if not is_last:
                text += draw(joints.after_participle if chains else joints.inner, rng)
        if language.writes_capitals:
            first = text[sentence_start].upper()
            text = text[:sentence_start] + first + text[sentence_start + 1 :]
        text += language.joints.stop
    return Instruction(text.rstrip(), tuple(spans))


def sentences(steps: Sequence[Step], rng: np.random.Generator) -> list[list[Step]]:
    """Deals steps out to sentences: statements alone, one to three clauses that walk together.

    A turn is never the last of its sentence, since the next step tells how to go on.
    """
    dealt: list[list[Step]] = []
    room = 0
    for step in steps:
        is_alone = _stands_alone(step)
        turns_before = bool(dealt) and dealt[-1][-1].act.kind in TURNS
        if dealt and not is_alone and (turns_before or room > 0):
            dealt[-1].append(step)
            room -= 1
        else:
            dealt.append([step])
            room = int(rng.choice([0, 1, 2], p=[0.3, 0.5, 0.2]))
        if is_alone:
            room = 0
    return dealt


def _stands_alone(step: Step) -> bool:
    return step.act.kind in STATEMENTS and step.act.kind != "stop"


def _pattern(language: Language, step: Step, last: dict[str, str], rng: np.random.Generator) -> str:
    patterns = language.patterns_for(step.act)
    fresh = [one for one in patterns if one != last.get(step.act.kind)] or patterns
    chosen = fresh[int(rng.integers(len(fresh)))]
    last[step.act.kind] = chosen
    return chosen
