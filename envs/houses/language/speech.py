"""When the words of a spoken instruction are said, for a plausible speaker who walks along."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from envs.houses.survey.clauses import Span

# Seconds of a word: a start, and more for each letter that is written as one sign of its own.
WORD, LETTER = {"en": 0.12, "hi": 0.12, "te": 0.15}, {"en": 0.055, "hi": 0.085, "te": 0.1}
COMMA_PAUSE, STOP_PAUSE = 0.25, 0.5  # seconds, for a speaker of rate 1
WALKING_PAUSE = 0.4  # seconds more before the next clause, for each edge that was walked
STARTS_AFTER = 0.8  # seconds of silence at first


def time_words(
    text: str, spans: Sequence[Span], language: str, rate: float, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Words of an instruction with start and end in seconds, in the form of RxR.

    Args:
        text: The instruction; its words are what blanks separate.
        spans: Clauses with the path positions that they tell of: the speaker looks around after
            each that walks on.
        language: Tag, "hi-IN".
        rate: Of speech: 1.2 is a fast speaker.
        rng: Source of the jitter.
    """
    base = language.partition("-")[0]
    ends = {span.end: span.last - span.first for span in spans}
    timed = []
    clock, position = STARTS_AFTER, 0
    for word in text.split(" "):
        position += len(word)
        letters = sum(unicodedata.category(sign) in ("Lo", "Ll", "Lu", "Nd") for sign in word)
        length = (WORD[base] + LETTER[base] * letters) * rng.uniform(0.85, 1.15) / rate
        start, clock = clock, clock + length
        timed.append({"word": word, "start_time": round(start, 1), "end_time": round(clock, 1)})
        if word[-1] in ".।":
            clock += STOP_PAUSE * rng.uniform(0.6, 1.6) / rate
        elif word[-1] == ",":
            clock += COMMA_PAUSE * rng.uniform(0.6, 1.6) / rate
        spoken = position - (word[-1] in ".,।")
        clock += WALKING_PAUSE * ends.get(spoken, 0) * rng.uniform(0.5, 1.5)
        position += 1
    return timed
