"""Patterns that put acts into words, and take words back to acts: one grammar for both ways.

A pattern is a text with slots in braces: `{L.acc}` is the landmark in its accusative, `{R.into}`
the room with the case ending of "into". The letters are those of `Act.fields`, and the form behind
the point is one that the language's lexicon knows. `{V.go}` is a verb: an imperative, or where
the language strings clauses together, a participle. A form that ends in "*" agrees with its
field but does not tell which value it has ("दिखेगा" goes with all masculine singulars).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from envs.houses.language.acts import Act, Mention
from envs.houses.survey.landmarks import PLURALS

_SLOT = re.compile(r"\{([A-Z])\.([^}]+)\}")
_TOKEN = re.compile(r"[^\s.,।]+|[.,।]")
Tokens = tuple[str, ...]
ORDINALS = (1, 2, 3, 4)
DISTANCES = (2, 3, 4, 5, 6, 8, 9)  # metres that are spoken of; in feet they stay apart
SIDES = ("left", "right", "ahead", "behind")


@dataclass(frozen=True)
class Verb:
    """A verb's imperatives, one for each manner of speaking, and its conjunctive participle."""

    imperatives: tuple[str, ...]
    participle: str = ""


@dataclass(frozen=True)
class Joints:
    """How clauses are put together.

    Attributes:
        stop: Ends a sentence.
        openers: May begin a sentence that is not the first, with their probabilities.
        statement_openers: The same before a sentence that states what is there.
        inner: Between clauses of a sentence, with their probabilities.
        after_participle: The same after a clause that ends in a participle; none if the language
            has no such clauses.
        participle_share: How often a clause that another follows ends in a participle.
    """

    stop: str
    openers: tuple[tuple[str, float], ...]
    statement_openers: tuple[tuple[str, float], ...]
    inner: tuple[tuple[str, float], ...]
    after_participle: tuple[tuple[str, float], ...] = ()
    participle_share: float = 0.0


@dataclass(frozen=True, eq=False)
class Language:
    """A grammar.

    Attributes:
        tag: RxR's tag, "hi-IN".
        patterns: For each kind of act, patterns; an act takes those with just its fields.
        joints: How clauses are put together.
        verbs: By the name that slots use.
        nouns: Keys of the nouns that it knows.
        colours: Colours that it knows.
        materials: Materials that it knows.
        rooms: Kinds of room that it knows.
        forms: For each field's letter, a function from (value, form) to the ways to say it.
        writes_capitals: Whether sentences begin with a capital.
    """

    tag: str
    patterns: Mapping[str, Sequence[str]]
    joints: Joints
    verbs: Mapping[str, Verb]
    nouns: Sequence[str]
    colours: Sequence[str]
    materials: Sequence[str]
    rooms: Sequence[str]
    forms: Mapping[str, Callable[[Any, str], Sequence[str]]]
    writes_capitals: bool = False
    _tables: dict[str, tuple[dict[Tokens, Any], int]] = field(default_factory=dict, init=False)

    def knows(self, mention: Mention) -> bool:
        """Whether the lexicon has all words of a mention."""
        return (
            mention.noun in self.nouns
            and mention.colour in ("", *self.colours)
            and mention.material in ("", *self.materials)
        )

    def patterns_for(self, act: Act) -> list[str]:
        """Patterns that say just what an act holds.

        Raises:
            ValueError: There is none.
        """
        found = [one for one in self.patterns[act.kind] if pattern_fields(one) == act.fields]
        if not found:
            raise ValueError(f"{self.tag} has no words for {act}")
        return found

    def say(self, act: Act, pattern: str, manner: int, is_final: bool = True) -> str:
        """Words of an act.

        Args:
            act: What to say.
            pattern: One of `patterns_for(act)`.
            manner: Any number; one manner of speaking keeps to the same synonyms.
            is_final: Whether its verb is an imperative rather than a participle.
        """

        def fill(slot: re.Match[str]) -> str:
            letter, form = slot.groups()
            if letter == "V":
                verb = self.verbs[form]
                if not is_final:
                    return verb.participle
                return verb.imperatives[manner % len(verb.imperatives)]
            ways = self.forms[letter](_value(act, letter), form.rstrip("*"))
            return ways[manner % len(ways)]

        return _SLOT.sub(fill, pattern)

    def can_chain(self, pattern: str) -> bool:
        """Whether a pattern's clause can end in a participle."""
        return "{V." in pattern

    def table(self, slot: str) -> tuple[dict[Tokens, Any], int]:
        """Values by the words of a slot such as "L.acc", and the most words that one has."""
        if slot not in self._tables:
            letter, form = slot.split(".")
            entries: dict[Tokens, Any] = {}
            if letter == "V":
                verb = self.verbs[form]
                said = [(text, None) for text in (*verb.imperatives, verb.participle) if text]
            else:
                said = [
                    (text, value)
                    for value in self._domain(letter)
                    for text in self._ways(letter, value, form.rstrip("*"))
                ]
            for text, value in said:
                entries.setdefault(tuple(tokens_of(text)), value)
            self._tables[slot] = entries, max((len(words) for words in entries), default=0)
        return self._tables[slot]

    def _ways(self, letter: str, value: Any, form: str) -> Sequence[str]:
        """Ways to say a value in a form; none where the value has no such form."""
        try:
            return self.forms[letter](value, form)
        except KeyError:
            return ()

    def _domain(self, letter: str) -> Sequence[Any]:
        if letter == "L":
            return self._mentions
        return {"R": self.rooms, "S": SIDES, "D": DISTANCES, "O": ORDINALS}[letter]

    @cached_property
    def _mentions(self) -> list[Mention]:
        found = []
        for noun in self.nouns:
            for plural in (False, True) if noun in PLURALS else (False,):
                found.append(Mention(noun, plural=plural))
                found += [Mention(noun, colour=one, plural=plural) for one in self.colours]
                found += [Mention(noun, material=one, plural=plural) for one in self.materials]
            found += [Mention(noun, ordinal=one) for one in ORDINALS]
        return found

    @cached_property
    def compiled(self) -> list[tuple[str, list[str]]]:
        """(kind, items) of every pattern; an item is a word or a slot in braces."""
        return [
            (kind, _items(pattern))
            for kind, patterns in self.patterns.items()
            for pattern in patterns
        ]

    @cached_property
    def joint_tokens(self) -> set[Tokens]:
        """Token sequences that may stand between clauses."""
        joints = self.joints
        options = (joints.openers, joints.statement_openers, joints.inner, joints.after_participle)
        texts = [joints.stop, *(text for option in options for text, _ in option)]
        return {tuple(tokens_of(text)) for text in texts} - {()}


def pattern_fields(pattern: str) -> frozenset[str]:
    """Letters of the fields that a pattern says."""
    return frozenset(letter for letter, _ in _SLOT.findall(pattern)) - {"V"}


def tokens_of(text: str) -> list[str]:
    """Lower-case words and stops."""
    return _TOKEN.findall(text.lower())


def parse(language: Language, text: str) -> list[Act] | None:
    """Acts that a text tells, or None where it is not of the language's grammar.

    Of several readings the one whose clauses are longest from the front is taken.
    """
    tokens = tokens_of(text)
    dead: set[int] = set()

    def read(position: int) -> list[Act] | None:
        position = _skip_joints(language, tokens, position)
        if position == len(tokens):
            return []
        if position in dead:
            return None
        clauses = sorted(_clauses(language, tokens, position), key=lambda one: -one[1])
        for act, end in clauses:
            rest = read(end)
            if rest is not None:
                return [act, *rest]
        dead.add(position)
        return None

    return read(0)


def _skip_joints(language: Language, tokens: list[str], position: int) -> int:
    skipped = True
    while skipped:
        skipped = False
        for joint in sorted(language.joint_tokens, key=len, reverse=True):
            if tuple(tokens[position : position + len(joint)]) == joint:
                position += len(joint)
                skipped = True
                break
    return position


def _clauses(language: Language, tokens: list[str], position: int) -> Iterator[tuple[Act, int]]:
    """Acts that the tokens from a position on may tell, with the position after each."""
    for kind, items in language.compiled:
        for values, end in _match(language, items, tokens, position):
            yield Act(kind, **values), end


def _match(
    language: Language, items: list[str], tokens: list[str], position: int
) -> Iterator[tuple[dict[str, Any], int]]:
    if not items:
        yield {}, position
        return
    item, rest = items[0], items[1:]
    if not item.startswith("{"):
        if position < len(tokens) and tokens[position] == item:
            yield from _match(language, rest, tokens, position + 1)
        return
    slot = item[1:-1]
    table, longest = language.table(slot)
    for end in range(min(position + longest, len(tokens)), position, -1):
        words = tuple(tokens[position:end])
        if words in table:
            for values, after in _match(language, rest, tokens, end):
                if slot.endswith("*") or slot.startswith("V"):
                    yield values, after
                else:
                    yield {_FIELD_NAMES[slot[0]]: table[words], **values}, after


_FIELD_NAMES = {"R": "room", "L": "mention", "S": "side", "D": "metres", "O": "ordinal"}


def _value(act: Act, letter: str) -> Any:
    return getattr(act, _FIELD_NAMES[letter])


def _items(pattern: str) -> list[str]:
    items: list[str] = []
    for part in re.split(r"(\{[^}]+\})", pattern):
        items += [part] if part.startswith("{") else tokens_of(part)
    return items
