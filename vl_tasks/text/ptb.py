"""Caption tokens of the COCO evaluation: Penn Treebank tokens without punctuation.

The official tokenizer is Stanford's PTBTokenizer (Java) with `-lowerCase`, followed by the removal
of some punctuation. `python_words` reimplements it for contractions, brackets, numbers, hyphens and
common abbreviations. Scores of the two may differ for captions with rarer tokens, so each score
contains the name of its tokenizer.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Literal, TypeVar

from clipnav.vl_tasks.text.java import java_ready, ptb_lines

CaptionTokenizer = Literal["auto", "java", "python"]
Key = TypeVar("Key", bound=Hashable)

JAVA_NAME = "PTBTokenizer 3.4.1 (Java)"
PYTHON_NAME = "PTB-like (Python)"

# Tokens that the COCO evaluation drops. It lists the round brackets in capitals only, which do not
# match lower-case tokens, and so keeps them.
_DROPPED = frozenset("'' ' `` ` . ? ! , : - -- ... ;".split())
_TYPOGRAPHIC = {0x2018: "'", 0x2019: "'", 0x201C: '"', 0x201D: '"', 0x2013: "--", 0x2014: "--"}
_BRACKETS = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_TOGETHER = {
    "cannot": ("can", "not"),
    "gonna": ("gon", "na"),
    "gotta": ("got", "ta"),
    "wanna": ("wan", "na"),
    "gimme": ("gim", "me"),
    "lemme": ("lem", "me"),
    "'tis": ("'t", "is"),
    "'twas": ("'t", "was"),
}
_ABBREVIATIONS = """
mr mrs ms dr st jr sr vs mt prof gen etc inc ltd co corp dept ave blvd rd
jan feb aug sept oct nov dec
""".split()
_TOKEN = re.compile(
    rf"""
      https?://\S+ | [\w.+-]+@[\w-]+\.[\w.]+ | @\w+ | <\w+>   # addresses, names, tags
    | (?:{"|".join(_ABBREVIATIONS)})\.(?!\w)             # abbreviations
    | no\.(?=\s*\d)
    | (?:[a-z]\.)+(?!\w)                                 # initials, u.s., p.m.
    | \d+(?::\d\d)(?=[ap]m\b)                            # 7:00am is two tokens
    | '(?:tis|twas)\b | '\d0s\b | 'n'(?!\w)
    | \d+(?:[.,:/]\d+)+(?!\w)                            # 1,000.50
    | \w+(?:[-/._&]\w+)*(?:(?<=[a-z])'(?!(?:s|m|d|re|ve|ll)\b)\w+)?  # words, o'clock
    | '(?:s|m|d|re|ve|ll)\b                              # clitics
    | [()\[\]{{}}] | \.\.\. | -- | ''|`` | ([!?])\1*      # marks; repeated marks are one token
    | \S
    """,
    re.VERBOSE,
)
_LINE_END = re.compile("[\n\r\v\f\x85\u2028\u2029]")  # PTBTokenizer begins a line after each
_NOT = re.compile(r"(\w+)(n't)$")


def python_words(caption: str) -> list[str]:
    """Return the tokens of a caption by rules in Python."""
    words: list[str] = []
    for match in _TOKEN.finditer(caption.translate(_TYPOGRAPHIC).lower()):
        token = match[0]
        negated = _NOT.match(token)
        if negated:
            words += negated.groups()
        elif token in _TOGETHER:
            words += _TOGETHER[token]
        elif token != '"' and token not in _DROPPED:
            words.append(_BRACKETS.get(token, token))
    return words


def tokenize(
    captions: Mapping[Key, Sequence[str]], tokenizer: CaptionTokenizer = "auto"
) -> tuple[dict[Key, list[str]], str]:
    """Tokenise captions; tokens are separated by single spaces."""
    flat = [_LINE_END.sub(" ", text) for texts in captions.values() for text in texts]
    java = tokenizer == "java" or (tokenizer == "auto" and java_ready())
    if java:
        tokens = [
            [word for word in line.split() if word not in _DROPPED] for line in ptb_lines(flat)
        ]
    else:
        tokens = [python_words(text) for text in flat]
    lines = iter(" ".join(words) for words in tokens)
    words = {key: [next(lines) for _ in texts] for key, texts in captions.items()}
    return words, JAVA_NAME if java else PYTHON_NAME
