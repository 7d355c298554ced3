"""Words of captions as the COCO evaluation has them: Penn Treebank tokens without punctuation.

The official tokenizer is Stanford's PTBTokenizer (Java), with `-lowerCase`, after which some marks
are dropped. `python_words` follows it in plain Python: contractions, brackets, numbers, hyphens,
common abbreviations. Scores made with the two may differ where captions hold rarer things, so each
score names its tokenizer.
"""

import re
from collections.abc import Hashable, Mapping, Sequence
from typing import Literal, TypeVar

from vl_tasks.text.java import java_ready, ptb_lines

Tokenizer = Literal["auto", "java", "python"]
Key = TypeVar("Key", bound=Hashable)

JAVA_NAME = "PTBTokenizer 3.4.1 (Java)"
PYTHON_NAME = "PTB-like (Python)"

# Dropped by the COCO evaluation, which lists the round brackets in capitals and so keeps them.
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
    | [()\[\]{{}}] | \.\.\. | -- | ''|`` | ([!?])\1*      # marks; those that repeat are one token
    | \S
    """,
    re.VERBOSE,
)
_NOT = re.compile(r"(\w+)(n't)$")


def python_words(caption: str) -> list[str]:
    """Words of a caption, by rules in Python."""
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
    captions: Mapping[Key, Sequence[str]], tokenizer: Tokenizer = "auto"
) -> tuple[dict[Key, list[str]], str]:
    """Captions as words with single spaces between.

    Args:
        captions: By picture.
        tokenizer: "java" is the official one, "auto" takes it where Java and pycocoevalcap are.

    Returns:
        The captions in the same order, and the name of the tokenizer.

    Raises:
        FileNotFoundError: "java" is wanted, but Java or pycocoevalcap is missing.
        ChildProcessError: Java fails.
    """
    flat = [" ".join(text.split("\n")) for texts in captions.values() for text in texts]
    java = tokenizer == "java" or (tokenizer == "auto" and java_ready())
    if java:
        found = [
            [word for word in line.split() if word not in _DROPPED] for line in ptb_lines(flat)
        ]
    else:
        found = [python_words(text) for text in flat]
    lines = iter(" ".join(words) for words in found)
    words = {key: [next(lines) for _ in texts] for key, texts in captions.items()}
    return words, JAVA_NAME if java else PYTHON_NAME
