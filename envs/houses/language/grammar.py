"""Grammars that write acts as text and parse text into acts, with the same patterns.

A pattern is a text with slots in braces and choices in parentheses: "(walk|go) past {L.the}".
`{L.acc}` is the landmark in the accusative, `{R.into}` is the room with the case ending of "into".
The letters are those of `Act.fields`; the form after the point is defined by the grammar of the
language. `{V.go}` is a verb: an imperative or, before another clause in languages that chain
clauses, a participle. A form that ends in "*" agrees with its field but does not determine its
value ("दिखेगा" agrees with all masculine singular nouns). A pattern that begins with "+" has no
verb of its own and continues a turn: "turn left" + "into the kitchen".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any

from clipnav.envs.houses.language.acts import Act, Mention
from clipnav.envs.houses.language.misspellings import right_words
from clipnav.envs.houses.survey.landmarks import PLURALS
from clipnav.storage.errors import UserError

_SLOT = re.compile(r"\{([A-Z])\.([^}]+)\}")
_TOKEN = re.compile(r"[^\s.,;।]+|[.,;।]")
_PATTERN_TOKEN = re.compile(r"\{[^}]+\}|[()|]|[^\s.,;।(){}|]+|[.,;।]")
_CHOICE = re.compile(r"\(([^()]*)\)")
Tokens = tuple[str, ...]
Choose = Callable[[str, Sequence[str]], int]
ORDINALS = (1, 2, 3, 4)
DISTANCES = (2, 3, 4, 5, 6, 8, 9)  # metres that texts mention; distinct in rounded feet too
SIDES = ("left", "right", "ahead", "behind")
CONTINUES = "+"
_FIELD_NAMES = {"R": "room", "L": "mention", "S": "side", "D": "metres", "O": "ordinal"}


@dataclass(frozen=True)
class Verb:
    """Imperatives of a verb, one for each form of address, and its conjunctive participle."""

    imperatives: tuple[str, ...]
    participle: str = ""


@dataclass(frozen=True)
class Connectives:
    """Words and punctuation between clauses; frequent ones first.

    Attributes:
        stop: End of a sentence.
        openers: Beginnings of every sentence except the first.
        statement_openers: Beginnings of a sentence that is a statement.
        inner: Texts between two clauses of a sentence.
        after_participle: Texts after a clause that ends in a participle; empty if the language has
            no such clauses.
        participle_share: Probability that a clause before another one ends in a participle.
    """

    stop: str
    openers: tuple[str, ...]
    statement_openers: tuple[str, ...]
    inner: tuple[str, ...]
    after_participle: tuple[str, ...] = ()
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
        adjectives: Adjectives that add nothing to a noun or a kind of room; "" for any of them.
        fillers: Words that a reader skips.
        misspells: Whether texts have misspellings, which a reader understands.
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
    adjectives: Mapping[str, Sequence[str]] = field(default_factory=dict)
    fillers: frozenset[str] = frozenset()
    misspells: bool = False
    _tables: dict[str, tuple[dict[Tokens, Any], int]] = field(default_factory=dict, init=False)
    _first_words: dict[str, frozenset[str]] = field(default_factory=dict, init=False)
    _patterns_for: dict[tuple[str, frozenset[str]], list[str]] = field(
        default_factory=dict, init=False
    )

    def knows(self, mention: Mention) -> bool:
        """Return whether the lexicon contains all words of a mention."""
        return (
            mention.noun in self.nouns
            and mention.colour in ("", *self.colours)
            and mention.material in ("", *self.materials)
        )

    def patterns_for(self, act: Act) -> list[str]:
        """Return the patterns with exactly the filled fields of an act."""
        key = act.kind, act.fields
        if key not in self._patterns_for:
            self._patterns_for[key] = [
                pattern
                for pattern in self.patterns[act.kind]
                if pattern_fields(pattern) == act.fields
            ]
        if not self._patterns_for[key]:
            raise UserError(f"{self.tag} has no pattern for {act}")
        return self._patterns_for[key]

    def render(self, act: Act, pattern: str, choose: Choose, is_final: bool = True) -> str:
        """Return the text of an act.

        Args:
            choose: Function from a key and several wordings to the index of the chosen one. One
                text uses the same wording for equal keys; the key of a choice in a pattern is "".
            is_final: Whether no other clause follows in the sentence.
        """

        def option(choice: re.Match[str]) -> str:
            options = choice[1].split("|")
            return options[choose("", options)]

        def fill(slot: re.Match[str]) -> str:
            letter, form = slot.groups()
            if letter == "V":
                verb = self.verbs[form]
                if not is_final:
                    return verb.participle
                return verb.imperatives[choose("V", verb.imperatives)]
            value = getattr(act, _FIELD_NAMES[letter])
            key = getattr(value, "noun", value)
            wordings = self.forms[letter](value, form.rstrip("*"))
            words = wordings[choose(f"{letter}.{key}", wordings)]
            return self._adorned(words, value, choose) if form in ("the", "a") else words

        text = pattern.removeprefix(CONTINUES)
        while "(" in text:
            text = _CHOICE.sub(option, text)
        return " ".join(_SLOT.sub(fill, text).split())

    def _adorned(self, words: str, value: Any, choose: Choose) -> str:
        """Return a noun phrase with an adjective that adds nothing, or unchanged."""
        key = getattr(value, "noun", value)
        options = ("", *self.adjectives.get(key, ()), *self.adjectives.get("", ()))
        adjective = options[choose("adjective", options)] if len(options) > 1 else ""
        if not adjective or getattr(value, "ordinal", 0):
            return words
        article, _, rest = words.partition(" ")
        if article in ("a", "an"):
            return f"{indefinite_article(adjective)} {adjective} {rest}"
        return f"the {adjective} {rest}" if article == "the" else f"{adjective} {words}"

    def can_chain(self, pattern: str) -> bool:
        """Return whether the clause of a pattern can end in a participle."""
        return "{V." in pattern

    def read(self, text: str) -> list[str]:
        """Return the tokens of a text in their right spelling, without fillers."""
        return self._without_fillers(
            self.right_words.get(token, token) for token in tokens_of(text)
        )

    def _without_fillers(self, tokens: Iterable[str]) -> list[str]:
        """Return tokens without fillers, and with one form of the indefinite article."""
        return ["a" if token == "an" else token for token in tokens if token not in self.fillers]

    @cached_property
    def right_words(self) -> dict[str, str]:
        """The right word for each misspelling."""
        return right_words(self._vocabulary()) if self.misspells else {}

    def _vocabulary(self) -> set[str]:
        """Return all words that texts can have."""
        words = {"an", *self.fillers}
        words.update(*self.connective_tokens)
        for pattern in chain.from_iterable(self.patterns.values()):
            words.update(tokens_of(_SLOT.sub(" ", re.sub(r"[()|+]", " ", pattern))))
            for slot in _SLOT.finditer(pattern):
                words.update(*self.slot_table(".".join(slot.groups()))[0])
        return words

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
                entries.setdefault(tuple(self._without_fillers(tokens_of(text))), value)
            self._tables[slot] = entries, max((len(words) for words in entries), default=0)
        return self._tables[slot]

    def begins(self, slot: str, word: str) -> bool:
        """Return whether a wording of a slot begins with a word."""
        if slot not in self._first_words:
            table, _ = self.slot_table(slot)
            self._first_words[slot] = frozenset(words[0] for words in table if words)
        return word in self._first_words[slot]

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
    def automaton(self) -> _Automaton:
        """Automaton that recognises the clauses of all patterns."""
        automaton = _Automaton()
        for kind, patterns in self.patterns.items():
            for pattern in patterns:
                automaton.add(kind, self._tree(pattern))
        return automaton

    def _tree(self, pattern: str) -> list[Any]:
        """Return the items of a pattern: words, slots, and lists of alternatives."""
        stack: list[list[list[Any]]] = [[[]]]
        for token in _PATTERN_TOKEN.findall(pattern.removeprefix(CONTINUES).lower()):
            if token == "(":
                stack.append([[]])
            elif token == "|":
                stack[-1].append([])
            elif token == ")":
                alternatives = stack.pop()
                stack[-1][-1].append(alternatives)
            elif token.startswith("{"):
                letter, _, form = token[1:-1].partition(".")
                stack[-1][-1].append(f"{{{letter.upper()}.{form}}}")
            else:
                stack[-1][-1] += self._without_fillers([token])
        return stack[0][0]

    @cached_property
    def connective_tokens(self) -> list[Tokens]:
        """Token sequences that can separate clauses, longest first."""
        connectives = self.connectives
        texts = [
            connectives.stop,
            *connectives.openers,
            *connectives.statement_openers,
            *connectives.inner,
            *connectives.after_participle,
        ]
        found = {tuple(self._without_fillers(tokens_of(text))) for text in texts} - {()}
        return sorted(found, key=lambda joint: (-len(joint), joint))


class _Automaton:
    """Nondeterministic automaton over words and slots; its final states are kinds of act."""

    def __init__(self) -> None:
        self._empty: list[list[int]] = [[]]  # transitions of each state that read nothing
        self._arcs: list[list[tuple[str, int]]] = [[]]
        self._kinds: dict[int, str] = {}
        self._closures: dict[
            int, tuple[dict[str, list[int]], list[tuple[str, int]], list[str]]
        ] = {}

    def add(self, kind: str, items: list[Any]) -> None:
        """Add a pattern; state 0 is the start."""
        final = self._state()
        self._kinds[final] = kind
        self._empty[0].append(self._sequence(items, final))
        self._closures.clear()

    def _state(self) -> int:
        self._empty.append([])
        self._arcs.append([])
        return len(self._arcs) - 1

    def _sequence(self, items: list[Any], after: int) -> int:
        """Return a state from which some items lead to the state `after`."""
        for item in reversed(items):
            state = self._state()
            if isinstance(item, str):
                self._arcs[state].append((item, after))
            else:
                self._empty[state] += [self._sequence(one, after) for one in item]
            after = state
        return after

    def transitions(
        self, state: int
    ) -> tuple[dict[str, list[int]], list[tuple[str, int]], list[str]]:
        """Return the next states by word and by slot, and the kinds of act that end here."""
        if state not in self._closures:
            words: dict[str, list[int]] = {}
            slots: list[tuple[str, int]] = []
            kinds: list[str] = []
            stack, seen = [state], {state}
            while stack:
                here = stack.pop()
                if here in self._kinds:
                    kinds.append(self._kinds[here])
                for item, after in self._arcs[here]:
                    if item.startswith("{"):
                        slots.append((item[1:-1], after))
                    else:
                        words.setdefault(item, []).append(after)
                for after in reversed(self._empty[here]):
                    if after not in seen:
                        seen.add(after)
                        stack.append(after)
            self._closures[state] = words, slots, kinds
        return self._closures[state]


def pattern_fields(pattern: str) -> frozenset[str]:
    """Return the letters of the fields in a pattern."""
    return frozenset(letter for letter, _ in _SLOT.findall(pattern)) - {"V"}


def tokens_of(text: str) -> list[str]:
    """Split a text into lower-case words and punctuation marks."""
    return _TOKEN.findall(text.lower())


def indefinite_article(words: str) -> str:
    """Return "a" or "an"."""
    return "an" if words[0].lower() in "aeiou" and not words.startswith("u-") else "a"


def parse(language: Language, text: str) -> list[Act] | None:
    """Parse a text into acts; return None if the grammar does not accept it.

    Where a text is ambiguous, longer clauses are preferred, from left to right.
    """
    tokens = language.read(text)
    dead: set[int] = set()

    def read(position: int) -> list[Act] | None:
        starts = _after_connectives(language, tokens, position)
        if starts[-1] == len(tokens):
            return []
        if position in dead:
            return None
        found = (clause for start in starts for clause in _clauses(language, tokens, start))
        clauses = sorted(found, key=lambda clause: -clause[1])
        for act, end in clauses:
            rest = read(end)
            if rest is not None:
                return [act, *rest]
        dead.add(position)
        return None

    return read(0)


def _after_connectives(language: Language, tokens: list[str], position: int) -> list[int]:
    """Return a position and all later ones that are reached by skipping connectives, in order."""
    reached = {position}
    stack = [position]
    while stack:
        here = stack.pop()
        for joint in language.connective_tokens:
            after = here + len(joint)
            if after not in reached and tuple(tokens[here:after]) == joint:
                reached.add(after)
                stack.append(after)
    return sorted(reached)


def _clauses(language: Language, tokens: list[str], position: int) -> Iterator[tuple[Act, int]]:
    """Yield each act that can begin at a token, with the position after its last token."""
    stack: list[tuple[int, int, tuple[tuple[str, Any], ...]]] = [(0, position, ())]
    seen = set(stack)
    while stack:
        state, here, values = stack.pop()
        words, slots, kinds = language.automaton.transitions(state)
        for kind in kinds:
            yield Act(kind, **dict(values)), here
        if here == len(tokens):
            continue
        found = [(after, here + 1, values) for after in words.get(tokens[here], ())]
        for slot, after in slots:
            if not language.begins(slot, tokens[here]):
                continue
            table, longest = language.slot_table(slot)
            for end in range(here + 1, min(here + longest, len(tokens)) + 1):
                key = tuple(tokens[here:end])
                if key in table:
                    value = (_FIELD_NAMES.get(slot[0], ""), table[key])
                    agrees_only = slot.endswith("*") or slot.startswith("V")
                    found.append((after, end, values if agrees_only else (*values, value)))
        for entry in found:
            if entry not in seen:
                seen.add(entry)
                stack.append(entry)
