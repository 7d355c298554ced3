"""Normalisation of answers in the official VQA evaluators, in four variants.

The rules, including their oddities, are those of `VQAEval.processPunctuation` and
`processDigitArticle` of GT-Vision-Lab/VQA at 07aecec (V0), 458a8b2 (V1) and a013f00 (V2), and of
`eval_scripts` of facebookresearch/reliable_vqa at d9586af (V3).
"""

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Literal

Variant = Literal["V0", "V1", "V2", "V3"]

_MARKS = ';/[]"{}()=+\\_-><@`,?!'
_MARKS_V0 = ";:/'[]\"()=+\\_><@`,?"
_DIGIT_COMMA_DIGIT = re.compile(r"\d,\d")
_PERIOD = re.compile(r"\.(?!\d)")
# The evaluators pass `re.UNICODE` (32) as the count of `re.sub`, so only 32 periods are removed.
_PERIODS = int(re.UNICODE)

_CLASS = f"[{re.escape(_MARKS)}]"
_CLASS_OR_SPACE = f"[ {re.escape(_MARKS)}]"
_V3_BEGIN = re.compile(rf"\A{_CLASS_OR_SPACE}+(?=[a-zA-Z0-9 ])")
_V3_END = re.compile(rf"(?<=[a-zA-Z0-9 ]){_CLASS_OR_SPACE}+\Z")
_V3_THOUSANDS = re.compile(r"(?<=\d),+(?=\d)")
_V3_DOUBLE = re.compile(rf"(?<={_CLASS_OR_SPACE}){_CLASS}|{_CLASS}(?={_CLASS_OR_SPACE})")
_V3_SPACES = re.compile(" +")
_V3_INSIDE = re.compile(rf"(?<=[a-zA-Z]){_CLASS}(?=[a-zA-Z])")

_NUMBERS = {
    word: str(number)
    for number, word in enumerate("zero one two three four five six seven eight nine ten".split())
} | {"none": "0"}
_ARTICLES = frozenset({"a", "an", "the"})
# Contractions that the evaluators restore if an apostrophe is missing.
_CONTRACTIONS = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
haven't he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am mightn't mightn't've
might've mustn't must've needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've
shouldn't shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll
someone's something'd something'd've something'll that's there'd there'd've there're there's they'd
they'd've they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've
when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
would've wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've
""".split()
_TYPOGRAPHIC = "\N{RIGHT SINGLE QUOTATION MARK}"
# V0 has typographic apostrophes in its table, except in these.
_PLAIN_IN_V0 = frozenset("ain't aren't can't could've couldn't we've where's who've".split())
_NO_KEY_IN_V0 = frozenset({"couldn'tve", "hadn'tve"})


_RESTORED = {
    word[:k] + word[k + 1 :]: word for word in _CONTRACTIONS for k, c in enumerate(word) if c == "'"
} | {"somebody'd": "somebodyd"}
_RESTORED_V0 = {
    wrong.replace("'", _TYPOGRAPHIC): right
    if right in _PLAIN_IN_V0
    else right.replace("'", _TYPOGRAPHIC)
    for wrong, right in _RESTORED.items()
    if wrong not in _NO_KEY_IN_V0
}
Step = Callable[[str], str]


def strip_answer(text: str) -> str:
    """Return an answer on one line, without surrounding spaces."""
    return text.replace("\n", " ").replace("\t", " ").strip()


def _strip_marks(text: str, marks: str = _MARKS) -> str:
    """Remove punctuation as V1 and V2 do (and V0 with its own marks).

    A mark is deleted if any of its occurrences is next to a space, or if the text contains a comma
    between two digits; otherwise a space replaces it. Periods are deleted unless a digit follows.
    """
    thousands = _DIGIT_COMMA_DIGIT.search(text) is not None
    left = text
    for mark in marks:
        if mark in text:
            beside_space = f"{mark} " in text or f" {mark}" in text
            left = left.replace(mark, "" if beside_space or thousands else " ")
    return _PERIOD.sub("", left, count=_PERIODS)


def _strip_marks_v3(text: str) -> str:
    """Remove punctuation as V3 does: not between digits or non-ASCII letters."""
    left = _V3_END.sub("", _V3_BEGIN.sub("", text))
    left = _V3_DOUBLE.sub(" ", _V3_THOUSANDS.sub("", left))
    left = _V3_INSIDE.sub(" ", _V3_SPACES.sub(" ", left))
    return _PERIOD.sub("", _V3_INSIDE.sub("", left), count=_PERIODS)


def _plain_words(text: str, restored: Mapping[str, str] = _RESTORED) -> str:
    """Lower-case words, remove articles, write numbers up to ten as digits, restore apostrophes."""
    words = (_NUMBERS.get(word, word) for word in text.lower().split())
    return " ".join(restored.get(word, word) for word in words if word not in _ARTICLES)


@lru_cache(maxsize=1 << 16)
def normalise(text: str, variant: Variant = "V2") -> str:
    """Normalise an answer with all rules of a variant: line breaks, punctuation, words."""
    marks, words = _STEPS[variant]
    return words(marks(strip_answer(text)))


@lru_cache(maxsize=1 << 16)
def without_marks(text: str, variant: Variant) -> str:
    """Remove punctuation only, which is all that V0 and V1 do to annotated answers."""
    return _STEPS[variant][0](text)


_STEPS: dict[Variant, tuple[Step, Step]] = {
    "V0": (
        lambda text: _strip_marks(text, _MARKS_V0),
        lambda text: _plain_words(text, _RESTORED_V0),
    ),
    "V1": (_strip_marks, _plain_words),
    "V2": (_strip_marks, _plain_words),
    "V3": (_strip_marks_v3, _plain_words),
}
