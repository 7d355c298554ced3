"""Grammars that write acts as text and parse text into acts, with the same patterns.

A pattern is a text with slots in braces: `{L.acc}` is the landmark in the accusative, `{R.into}`
is the room with the case ending of "into". The letters are those of `Act.fields`; the form after
the point is defined by the grammar of the language. `{V.go}` is a verb: an imperative or, before
another clause in languages that chain clauses, a participle. A form that ends in "*" agrees with
its field but does not determine its value ("दिखेगा" agrees with all masculine singular nouns).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from clipnav.envs.houses.language.acts import Act, Mention
from clipnav.envs.houses.survey.landmarks import PLURALS
from clipnav.storage.errors import UserError

_SLOT = re.compile(r"\{([A-Z])\.([^}]+)\}")
_TOKEN = re.compile(r"[^\s.,।]+|[.,।]")
Tokens = tuple[str, ...]
ORDINALS = (1, 2, 3, 4)
DISTANCES = (2, 3, 4, 5, 6, 8, 9)  # metres that texts mention; distinct in rounded feet too
SIDES = ("left", "right", "ahead", "behind")


@dataclass(frozen=True)
class Verb:
    """Imperatives of a verb, one for each variant of a text, and its conjunctive participle."""

    imperatives: tuple[str, ...]
    participle: str = ""


@dataclass(frozen=True)
class Connectives:
    """Words and punctuation between clauses.

    Attributes:
        stop: End of a sentence.
        openers: Beginnings of every sentence except the first, with probabilities.
        statement_openers: Beginnings of a sentence that is a statement, with probabilities.
        inner: Texts between two clauses of a sentence, with probabilities.
        after_participle: Texts after a clause that ends in a participle, with probabilities; empty
            if the language has no such clauses.
        participle_share: Probability that a clause before another one ends in a participle.
    """

    stop: str
    openers: tuple[tuple[str, float], ...]
    statement_openers: tuple[tuple[str, float], ...]
    inner: tuple[tuple[str, float], ...]
    after_participle: tuple[tuple[str, float], ...] = ()
    participle_share: float = 0.0


@dataclass(frozen=True, eq=False)
class Language:
    """Grammar of one language.

    Attributes:
        tag: RxR's tag, for example "hi-IN".
        patterns: Patterns for each kind of act; an act uses those with exactly its fields.
        connectives: Words and punctuation between clauses.
        verbs: Verbs by their name in slots.
        nouns: Keys of the nouns in the lexicon.
        colours: Colours in the lexicon.
        materials: Materials in the lexicon.
        rooms: Kinds of room in the lexicon.
        forms: For the letter of each field, a function from (value, form) to its wordings.
        writes_capitals: Whether sentences begin with a capital letter.
    """

    tag: str
    patterns: Mapping[str, Sequence[str]]
    connectives: Connectives
    verbs: Mapping[str, Verb]
    nouns: Sequence[str]
    colours: Sequence[str]
    materials: Sequence[str]
    rooms: Sequence[str]
    forms: Mapping[str, Callable[[Any, str], Sequence[str]]]
    writes_capitals: bool = False
    _tables: dict[str, tuple[dict[Tokens, Any], int]] = field(default_factory=dict, init=False)

    def knows(self, mention: Mention) -> bool:
        """Return whether the lexicon contains all words of a mention."""
        return (
            mention.noun in self.nouns
            and mention.colour in ("", *self.colours)
            and mention.material in ("", *self.materials)
        )

    def patterns_for(self, act: Act) -> list[str]:
        """Return the patterns with exactly the filled fields of an act."""
        matching = [
            pattern for pattern in self.patterns[act.kind] if pattern_fields(pattern) == act.fields
        ]
        if not matching:
            raise UserError(f"{self.tag} has no pattern for {act}")
        return matching

    def render(self, act: Act, pattern: str, variant: int, is_final: bool = True) -> str:
        """Return the text of an act."""

        def fill(slot: re.Match[str]) -> str:
            letter, form = slot.groups()
            if letter == "V":
                verb = self.verbs[form]
                if not is_final:
                    return verb.participle
                return verb.imperatives[variant % len(verb.imperatives)]
            wordings = self.forms[letter](_value(act, letter), form.rstrip("*"))
            return wordings[variant % len(wordings)]

        return _SLOT.sub(fill, pattern)

    def can_chain(self, pattern: str) -> bool:
        """Return whether the clause of a pattern can end in a participle."""
        return "{V." in pattern

    def slot_table(self, slot: str) -> tuple[dict[Tokens, Any], int]:
        """Return the value for each wording of a slot ("L.acc"), and the longest word count."""
        if slot not in self._tables:
            letter, form = slot.split(".")
            entries: dict[Tokens, Any] = {}
            if letter == "V":
                verb = self.verbs[form]
                wordings = [(text, None) for text in (*verb.imperatives, verb.participle) if text]
            else:
                wordings = [
                    (text, value)
                    for value in self._domain(letter)
                    for text in self._wordings(letter, value, form.rstrip("*"))
                ]
            for text, value in wordings:
                entries.setdefault(tuple(tokens_of(text)), value)
            self._tables[slot] = entries, max((len(words) for words in entries), default=0)
        return self._tables[slot]

    def _wordings(self, letter: str, value: Any, form: str) -> Sequence[str]:
        """Return the wordings of a value in a form; none if the value has no such form."""
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
        mentions = []
        for noun in self.nouns:
            for plural in (False, True) if noun in PLURALS else (False,):
                mentions.append(Mention(noun, plural=plural))
                mentions += [Mention(noun, colour=colour, plural=plural) for colour in self.colours]
                mentions += [
                    Mention(noun, material=material, plural=plural) for material in self.materials
                ]
            mentions += [Mention(noun, ordinal=ordinal) for ordinal in ORDINALS]
        return mentions

    @cached_property
    def compiled(self) -> list[tuple[str, list[str]]]:
        """List of (kind, items) for all patterns; an item is a word or a slot in braces."""
        return [
            (kind, _items(pattern))
            for kind, patterns in self.patterns.items()
            for pattern in patterns
        ]

    @cached_property
    def connective_tokens(self) -> set[Tokens]:
        """Token sequences that can separate clauses."""
        connectives = self.connectives
        options = (
            connectives.openers,
            connectives.statement_openers,
            connectives.inner,
            connectives.after_participle,
        )
        texts = [connectives.stop, *(text for option in options for text, _ in option)]
        return {tuple(tokens_of(text)) for text in texts} - {()}


def pattern_fields(pattern: str) -> frozenset[str]:
    """Return the letters of the fields in a pattern."""
    return frozenset(letter for letter, _ in _SLOT.findall(pattern)) - {"V"}


def tokens_of(text: str) -> list[str]:
    """Split a text into lower-case words and punctuation marks."""
    return _TOKEN.findall(text.lower())


def parse(language: Language, text: str) -> list[Act] | None:
    """Parse a text into acts; return None if the grammar does not accept it.

    Where a text is ambiguous, longer clauses are preferred, from left to right.
    """
    tokens = tokens_of(text)
    dead: set[int] = set()

    def read(position: int) -> list[Act] | None:
        position = _skip_connectives(language, tokens, position)
        if position == len(tokens):
            return []
        if position in dead:
            return None
        clauses = sorted(_clauses(language, tokens, position), key=lambda clause: -clause[1])
        for act, end in clauses:
            rest = read(end)
            if rest is not None:
                return [act, *rest]
        dead.add(position)
        return None

    return read(0)


def _skip_connectives(language: Language, tokens: list[str], position: int) -> int:
    skipped = True
    while skipped:
        skipped = False
        for joint in sorted(language.connective_tokens, key=len, reverse=True):
            if tuple(tokens[position : position + len(joint)]) == joint:
                position += len(joint)
                skipped = True
                break
    return position


def _clauses(language: Language, tokens: list[str], position: int) -> Iterator[tuple[Act, int]]:
    """Yield each act that can begin at a token, with the position after its last token."""
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
    table, longest = language.slot_table(slot)
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
