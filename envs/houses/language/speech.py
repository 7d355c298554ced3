"""Start and end times of the words of a spoken instruction, for a simulated speaker who walks."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from clipnav.envs.houses.language.acts import Span

# Seconds for each word, and for each of its letters; combining vowel signs do not count.
WORD, LETTER = {"en": 0.12, "hi": 0.12, "te": 0.15}, {"en": 0.055, "hi": 0.085, "te": 0.1}
COMMA_PAUSE, STOP_PAUSE = 0.25, 0.5  # seconds, for a speaker of rate 1
WALKING_PAUSE = 0.4  # additional seconds after a clause for each edge that it walks
STARTS_AFTER = 0.8  # seconds of silence at the beginning


def time_words(
    text: str, spans: Sequence[Span], language: str, rate: float, rng: np.random.Generator
) -> list[dict[str, Any]]:
    """Return the words of an instruction with their times in seconds, in the format of RxR."""
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
        elif word[-1] in ",;":
            clock += COMMA_PAUSE * rng.uniform(0.6, 1.6) / rate
        word_end = position - (word[-1] in ".,;।")
        clock += WALKING_PAUSE * ends.get(word_end, 0) * rng.uniform(0.5, 1.5)
        position += 1
    return timed
