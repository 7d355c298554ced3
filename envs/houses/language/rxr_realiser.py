"""Write a plan as text in one language, in the style of RxR, sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from clipnav.envs.houses.language.acts import STATEMENTS, TURNS, PlannedAct
from clipnav.envs.houses.language.grammar import Language
from clipnav.envs.houses.survey.clauses import Instruction, Span
from clipnav.envs.houses.survey.waymarks import draw

VARIANTS = 5040  # divisible by every number of synonyms up to 10


def realise_acts(
    language: Language, steps: Sequence[PlannedAct], rng: np.random.Generator
) -> Instruction:
    """Write a plan as text.

    One variant is drawn for the text: it uses the same synonyms and the same form of the imperative
    throughout. Patterns vary: two acts of one kind in succession use different patterns.
    """
    variant = int(rng.integers(VARIANTS))
    last_patterns: dict[str, str] = {}
    text, spans = "", []
    for sentence in sentences(steps, rng):
        sentence_start = len(text)
        connectives = language.connectives
        if text:
            is_statement = _is_own_sentence(sentence[0])
            openers = connectives.statement_openers if is_statement else connectives.openers
            text += draw(openers, rng)
        for place, step in enumerate(sentence):
            is_last = place == len(sentence) - 1
            pattern = _pattern(language, step, last_patterns, rng)
            share = connectives.participle_share
            chains = not is_last and language.can_chain(pattern) and rng.random() < share
            phrase = language.render(step.act, pattern, variant, not chains)
            spans.append(
                Span(len(text), len(text) + len(phrase), step.first, step.last, step.things)
            )
            text += phrase
            if not is_last:
                text += draw(connectives.after_participle if chains else connectives.inner, rng)
        if language.writes_capitals:
            first = text[sentence_start].upper()
            text = text[:sentence_start] + first + text[sentence_start + 1 :]
        text += connectives.stop
    return Instruction(text.rstrip(), tuple(spans))


def sentences(steps: Sequence[PlannedAct], rng: np.random.Generator) -> list[list[PlannedAct]]:
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
            free = int(rng.choice([0, 1, 2], p=[0.3, 0.5, 0.2]))
        if is_alone:
            free = 0
    return grouped


def _is_own_sentence(step: PlannedAct) -> bool:
    return step.act.kind in STATEMENTS and step.act.kind != "stop"


def _pattern(
    language: Language, step: PlannedAct, last: dict[str, str], rng: np.random.Generator
) -> str:
    patterns = language.patterns_for(step.act)
    options = [pattern for pattern in patterns if pattern != last.get(step.act.kind)] or patterns
    chosen = options[int(rng.integers(len(options)))]
    last[step.act.kind] = chosen
    return chosen
