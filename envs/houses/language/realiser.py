"""Write a plan as the text of one annotator, sentence by sentence."""

from __future__ import annotations

from collections.abc import Sequence

from clipnav.envs.houses.language.acts import STATEMENTS, TURNS, Instruction, PlannedAct, Span
from clipnav.envs.houses.language.annotators import Writer
from clipnav.envs.houses.language.grammar import CONTINUES, Language
from clipnav.envs.houses.language.misspellings import misspellings_of


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
