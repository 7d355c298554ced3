"""Strict parsing of answers: what cannot be read is invalid, and never a stop.

The first of these steps that applies decides:

1. Reasoning up to `</think>` is removed.
2. The whole text is one JSON value: an object with a key "action" (in any case), or a bare label.
3. The text between the first `{` and the last `}` is a JSON object with that key.
4. A bare text that names one option, such as `C`, `C.`, `Place 4` or the words of the option; a
   text that lists several options names none.
5. The value of the last field "action" of cut or malformed JSON.
6. In a text without braces, the last match of `action`, a few other characters, and a label: a
   capital letter, because "a" is an article, or a number behind a colon or an equals sign.

Only the value of "action" counts: words in other fields have no effect.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from clipnav.agents.language_models.prompts.observations import Option
from clipnav.agents.language_models.prompts.points import PointForm

Kind = Literal["valid", "invalid", "refused", "truncated"]

_PLACE = re.compile(r"place\s{0,3}(\d{1,4})", re.IGNORECASE | re.ASCII)
_LABEL_AND_WORDS = re.compile(r"(?:option )?([A-Za-z]|\d{1,3})(?:[.:)](?:\s.*)?)?", re.DOTALL)
_LISTED = re.compile(r"\b([A-Z]|\d{1,3})[.:)](?!\S)", re.ASCII)  # a label as options have it
# A value in quotes may contain commas.
_FIELD = re.compile(
    r"""["']action["']\s*:\s*(?:["']([^"'\n]{1,80})|([^"',}\n]{1,80}))""", re.IGNORECASE
)
_SPOKEN = re.compile(
    r"(?i:action)(?:\W{1,20}(?=[A-Z])|\W{0,19}[:=]\W{0,19}(?=\d))([A-Z]|\d{1,3})\b", re.ASCII
)
_LONGEST_BARE = 200  # characters of an answer that is not JSON
_REFUSALS = re.compile(
    r"\b(?:can't|cannot|can not|unable to|not able to|won't)\s{1,3}(?:help|assist|comply|provide)",
    re.IGNORECASE,
)
_NOTHING = object()


@dataclass(frozen=True)
class ParsedAnswer:
    """Answer of a model.

    Attributes:
        option: The chosen option; None unless the answer is valid.
        problem: What is wrong, for the model and for the log; empty for a valid answer.
    """

    kind: Kind
    option: Option | None = None
    thought: str = ""
    plan: str = ""
    problem: str = ""


def parse_answer(
    text: str,
    options: Sequence[Option],
    finish: str = "stop",
    refusal: str = "",
    points: PointForm | None = None,
) -> ParsedAnswer:
    """Parse an answer, whose action is an option or has the form of `points`."""
    if refusal or finish == "content_filter":
        return ParsedAnswer("refused", problem="the request was refused")
    cut = finish == "length"
    text = text.rpartition("</think>")[2].strip()
    document = _document(text)
    if document is not _NOTHING:
        parsed = _from_document(document, options, points)
    elif cut:
        return ParsedAnswer("truncated", problem="the answer was cut off before its end")
    else:
        parsed = _from_text(text, options, points)
    if parsed.option is None and _REFUSALS.search(text[:1000].replace("\u2019", "'")):
        return ParsedAnswer("refused", problem="the request was refused")
    return parsed


def _document(text: str) -> Any:
    """Return the JSON value that a text is, or the object that it contains."""
    start, end = text.find("{"), text.rfind("}")
    for piece in (text, text[start : end + 1] if 0 <= start < end else ""):
        try:
            document = json.loads(piece, object_pairs_hook=_Pairs)
        except (ValueError, RecursionError):
            continue
        if isinstance(document, _Pairs | str | int):
            return document
    return _NOTHING


class _Pairs(list[tuple[str, Any]]):
    """Keys and values of a JSON object, repetitions included."""

    def texts(self, name: str) -> str:
        """Return the last text with a key, in any case; empty if there is none."""
        values = [value for key, value in self if key.lower() == name and isinstance(value, str)]
        # Escapes can contain halves of surrogate pairs, which no later request could contain.
        return values[-1].encode("utf-8", "replace").decode() if values else ""


def _from_document(
    document: Any, options: Sequence[Option], points: PointForm | None
) -> ParsedAnswer:
    if not isinstance(document, _Pairs):
        option, problem = _resolve(document, options, points)
        return ParsedAnswer("invalid" if problem else "valid", option, problem=problem)
    actions = [value for key, value in document if key.lower() == "action"]
    if len(actions) == 1:
        option, problem = _resolve(actions[0], options, points)
    else:
        option, problem = None, f"the JSON object has {len(actions)} keys 'action' instead of one"
    thought, plan = document.texts("thought"), document.texts("plan")
    return ParsedAnswer("invalid" if problem else "valid", option, thought, plan, problem)


def _from_text(text: str, options: Sequence[Option], points: PointForm | None) -> ParsedAnswer:
    if len(text) <= _LONGEST_BARE or points is not None:
        option, problem = _resolve(text, options, points)
        if not problem:
            return ParsedAnswer("valid", option)
    values = ["".join(groups) for groups in _FIELD.findall(text)]
    if not values and "{" not in text and "}" not in text:
        values = _SPOKEN.findall(text)
    if values:
        option, problem = _resolve(values[-1], options, points)
        return ParsedAnswer("invalid" if problem else "valid", option, problem=problem)
    return ParsedAnswer("invalid", problem="the answer is not a JSON object with a key 'action'")


def _resolve(
    value: Any, options: Sequence[Option], points: PointForm | None
) -> tuple[Option | None, str]:
    """Return the option that a value names, or the problem."""
    if points is not None and (found := points.read(value)) is not None:
        if found[0] is None or found[0].points:
            return found
        value = "stop"
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None, "the action is not a text"
    text = str(value).strip().strip("\"'`*").strip().rstrip(".")
    labels = {option.label: option for option in options}
    numbers = any(label.isdigit() for label in labels)
    if isinstance(value, int) and not numbers:
        return None, "the action is a number instead of a label"
    if place := _PLACE.fullmatch(text):
        named = [option for option in options if option.place == int(place[1])]
    elif (match := _LABEL_AND_WORDS.fullmatch(text)) and match[1].upper() in labels:
        listed = {match[1].upper(), *_LISTED.findall(text)}
        named = [labels[label] for label in labels if label in listed]
    else:
        # What an answer may call an option, beside its label: its words in the prompt.
        said, named = text.lower(), []
        for option in options:
            words = option.words.lower()
            place = f"place {option.place}, {words}"
            if said in (("stop", "stop here") if option.action == 0 else (words, place)):
                named.append(option)
    if len(named) == 1:
        return named[0], ""
    return None, "the action is not one of the options"
