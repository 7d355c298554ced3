from itertools import pairwise

import numpy as np
import pytest

from clipnav.envs.houses.instructions.rxr_episodes import time_words
from clipnav.envs.houses.language.acts import Span

TEXTS = {
    "en-US": "Walk past the red sofa and turn left. Stop next to the big grey wardrobe.",
    "hi-IN": "लाल सोफ़े के पास से गुज़रकर बाएँ मुड़ें। सलेटी अलमारी के पास रुकें।",
    "te-IN": "ఎర్రటి సోఫాను దాటి ఎడమవైపు తిరగండి. బూడిద రంగు బీరువా పక్కన ఆగండి.",
}


@pytest.mark.parametrize("tag", TEXTS)
def test_words_follow_one_another_at_a_speaking_rate(tag):
    text = TEXTS[tag]
    timed = time_words(text, [], tag, 1.0, np.random.default_rng(0))
    assert " ".join(word["word"] for word in timed) == text
    assert all(word["start_time"] < word["end_time"] for word in timed)
    assert all(a["end_time"] <= b["start_time"] for a, b in pairwise(timed))
    rate = len(timed) / (timed[-1]["end_time"] - timed[0]["start_time"])
    assert 1.2 <= rate <= 3.5  # words a second


def test_a_speaker_pauses_after_sentences_and_while_walking():
    text = TEXTS["en-US"]
    end = text.index(" and")
    still = time_words(text, [], "en-US", 1.0, np.random.default_rng(0))
    walked = time_words(text, [Span(0, end, 0, 3, ())], "en-US", 1.0, np.random.default_rng(0))

    def pause(timed, word):
        index = [entry["word"] for entry in timed].index(word)
        return timed[index + 1]["start_time"] - timed[index]["end_time"]

    assert pause(still, "left.") > pause(still, "red") == 0
    assert pause(walked, "sofa") > pause(still, "sofa") == 0


def test_fast_speakers_finish_earlier():
    slow, fast = (
        time_words(TEXTS["hi-IN"], [], "hi-IN", rate, np.random.default_rng(0))[-1]["end_time"]
        for rate in (0.8, 1.2)
    )
    assert fast < slow
