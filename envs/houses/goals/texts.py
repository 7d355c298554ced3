"""Texts about goals and dialogs of the houses, in every language of the grammar."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from clipnav.envs.houses.goals.descriptions import Description
from clipnav.envs.houses.instructions.writing import TextStyle, TextWriter
from clipnav.envs.houses.language.acts import Mention
from clipnav.envs.houses.language.annotators import Annotator, annotators_of
from clipnav.envs.houses.language.grammars.languages import language_of
from clipnav.envs.houses.language.wording_files import load_wording

Json = dict[str, Any]
Walk = tuple[int, ...]  # viewpoints
LANGUAGES = {"en": "en-US", "hi-IN": "hi-IN", "te-IN": "te-IN"}  # tag of the grammar by language
_WORDINGS = {"en-US": "english", "hi-IN": "hindi", "te-IN": "telugu"}
_STOPS = {"en-US": ".", "hi-IN": "।", "te-IN": "."}
_CHOICE = re.compile(r"\(([^()]*)\)")
_SLOT = re.compile(r"\{([A-Z])(?:\.(\w+))?\}")
_SOON_PARTS = ("object", "attribute", "relation", "region", "neighbor")
# Answers lead along at most five edges.
ANSWER = TextStyle(True, (3, 50), (0, 1), 8, 0.0, 0.0)


class GoalWriter:
    """Writes texts of one language.

    Attributes:
        tag: Tag of the language in annotations: "en", "hi-IN" or "te-IN".
    """

    def __init__(self, tag: str, rng: np.random.Generator) -> None:
        self.tag, self._rng = tag, rng
        self._named: dict[str, float] = {}  # choice of the name of each thing in a text
        self._language = language_of(LANGUAGES[tag])
        self._wording: Mapping[str, Any] = load_wording("goals")[_WORDINGS[LANGUAGES[tag]]]
        self._stop = _STOPS[LANGUAGES[tag]]

    def knows(self, description: Description) -> bool:
        """Return whether the lexicon contains all words of a description."""
        nouns, rooms = self._language.nouns, self._language.rooms
        return (
            self._language.knows(description.mention)
            and description.room in ("", *rooms)
            and description.landmark in ("", *nouns)
        )

    def task(self, one: Description) -> str:
        """Return a task at a distant object (REVERIE)."""
        related = self._wording.get("related") if one.relation else None
        return self._sentence(related or self._wording["tasks"], one)

    def category(self, noun: str) -> str:
        """Return the text that asks for any object of a category."""
        return self._sentence(self._wording["categories"], Description(noun))

    def target(self, noun: str) -> str:
        """Return the name of the target of a dialog; English ones have the noun itself."""
        return self._filled(self._draw(self._wording["targets"]), Description(noun), "")

    def question(self, rooms: Sequence[str]) -> str:
        """Return a question of a navigator, which may mention one of some rooms."""
        self._named = {}
        room = self._draw(rooms)
        text = self._filled(self._draw(self._wording["questions"]), Description("", room), room)
        return text[0].upper() + text[1:]

    def parts(self, one: Description, neighbour: str) -> dict[str, str]:
        """Return the five parts of a description (SOON), "" for those that it lacks.

        Args:
            neighbour: Kind of a room beside that of the object, or "".
        """
        has = {
            "object": True,
            "attribute": bool(one.colour or one.material),
            "relation": bool(one.relation),
            "region": bool(one.room),
            "neighbor": bool(one.room and neighbour),
        }
        self._named = {}
        return {
            part: self._written(self._wording[f"soon_{part}"], one, neighbour) if has[part] else ""
            for part in _SOON_PARTS
        }

    def _sentence(self, patterns: Sequence[str], one: Description) -> str:
        self._named = {}
        return self._written(patterns, one)

    def _written(self, patterns: Sequence[str], one: Description, other: str = "") -> str:
        text = self._filled(self._draw(patterns), one, other)
        return text[0].upper() + text[1:] + self._stop

    def _filled(self, pattern: str, one: Description, other: str) -> str:
        """Fill the slots of a pattern; choices and synonyms are drawn at random."""

        def fill(slot: re.Match[str]) -> str:
            letter, form = slot.groups()
            if letter == "V":
                verbs = self._wording["verbs"]
                return self._draw(verbs.get(one.noun, verbs["any"]))
            if letter == "U":
                return "" if one.storey < 0 else self._draw(self._wording["storeys"], one.storey)
            if letter == "A":
                return self._draw(self._wording["relations"][one.relation]) if one.relation else ""
            values = {
                "L": one.mention,
                "N": Mention(one.noun),
                "X": Mention(one.landmark),
                "R": one.room,
                "O": other,
            }
            return self._name("R" if letter in "RO" else "L", values[letter], form)

        text = pattern
        while _SLOT.search(text) or _CHOICE.search(text):
            text = _CHOICE.sub(lambda choice: self._draw(choice[1].split("|")), text)
            text = _SLOT.sub(fill, text)
        return re.sub(r"\s+([,.?])", r"\1", " ".join(text.split()))

    def _name(self, kind: str, value: Any, form: str) -> str:
        """Return a wording of an object or a room, which a text calls by one name throughout."""
        key = getattr(value, "noun", value)
        wordings = self._language.forms[kind](value, form)
        bare = self._language.forms[kind](Mention(key) if kind == "L" else key, form)
        share = self._named.setdefault(key, float(self._rng.random()))
        # Synonyms of the noun vary fastest; the others are those of colour and material.
        others = range(0, len(wordings), len(bare))
        first = others[int(self._rng.integers(len(others)))]
        return wordings[first + int(share * len(bare))]

    def _draw(self, options: Sequence[str], number: int | None = None) -> str:
        return options[int(self._rng.integers(len(options))) if number is None else number]


@dataclass(frozen=True, eq=False)
class Talk:
    """Navigator and oracle of a dialog in one language."""

    writer: GoalWriter
    answers: TextWriter
    oracle: Annotator

    @classmethod
    def of(cls, writer: GoalWriter, answers: TextWriter) -> Talk:
        """Draw an oracle."""
        people = annotators_of(LANGUAGES[writer.tag])
        return cls(writer, answers, people[int(answers.rng.integers(len(people)))])

    def turns(self, place: int, planned: Walk, heading: float, rooms: Sequence[str]) -> list[Json]:
        """Return a question and its answer; nothing if no answer leads along the planned walk.

        Args:
            place: Number of edges walked before.
            rooms: Kinds of rooms that the question may mention.
        """
        tag = LANGUAGES[self.writer.tag]
        answer = self.answers.write(tag, self.oracle, planned, heading, ANSWER)
        if answer is None:
            return []
        question = self.writer.question(rooms)
        return [
            {"nav_idx": place, "role": "navigator", "message": question},
            {"nav_idx": place, "role": "oracle", "message": answer.instruction.text},
        ]
