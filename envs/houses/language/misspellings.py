"""Misspellings by rule: a letter is left out, doubled, swapped with the next one, or mistyped.

The first letter stays, and a misspelling is neither a word nor one of two words, so that a reader
who knows the words understands all of them.
"""

from collections.abc import Collection, Iterator

_SHORTEST = 3  # letters of the words that are misspelt
_KEYBOARD = ("qwertyuiop", "asdfghjkl", "zxcvbnm")


def misspellings_of(word: str) -> list[str]:
    """Return the misspellings of a word, in a fixed order."""
    if len(word) < _SHORTEST or not (word.isascii() and word.isalpha()):
        return []
    found = dict.fromkeys(_edits(word))
    found.pop(word, None)
    return list(found)


def right_words(words: Collection[str]) -> dict[str, str]:
    """Return the right word for each misspelling that belongs to exactly one word."""
    found: dict[str, str] = {}
    for word in sorted(words):
        for wrong in misspellings_of(word):
            found[wrong] = "" if wrong in found else word
    return {wrong: word for wrong, word in found.items() if word and wrong not in words}


def _edits(word: str) -> Iterator[str]:
    for place in range(1, len(word)):
        before, letter, after = word[:place], word[place], word[place + 1 :]
        yield before + after
        yield before + letter + letter + after
        if after:
            yield before + after[0] + letter + after[1:]
        for key in _neighbours(letter):
            yield before + key + after


def _neighbours(letter: str) -> str:
    """Return the keys beside a letter, in the same row of the keyboard."""
    row = next(row for row in _KEYBOARD if letter in row)
    place = row.index(letter)
    return row[max(place - 1, 0) : place] + row[place + 1 : place + 2]
