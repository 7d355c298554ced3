import numpy as np
import pytest

from envs.houses.language.acts import Act, Mention, Step
from envs.houses.language.lexicon import load_lexicon
from envs.houses.language.realising import realise
from envs.houses.language.telugu import telugu


def _say(act, pattern, manner=0, is_final=True):
    return telugu().say(act, pattern, manner, is_final)


@pytest.mark.parametrize(
    ("said", "pattern", "words"),
    [
        ({"noun": "bed"}, "{L.acc}", "మంచాన్ని"),
        ({"noun": "chair", "colour": "red"}, "{L.acc}", "ఎర్రటి కుర్చీని"),
        ({"noun": "sofa", "colour": "yellow"}, "{L.gen} పక్కన", "పసుపు రంగు సోఫా పక్కన"),
        ({"noun": "fridge"}, "{L.acc}", "ఫ్రిజ్\u200cను"),
        ({"noun": "chair", "plural": True}, "{L.gen} వైపు", "కుర్చీల వైపు"),
        ({"noun": "painting", "plural": True}, "{L.acc}", "చిత్రపటాలను"),
        ({"noun": "desk", "material": "wooden"}, "{L.nom}", "చెక్క రాత బల్ల"),
        ({"noun": "door", "ordinal": 2}, "{L.acc}", "రెండవ తలుపును"),
        ({"noun": "chair"}, "{L.seen*}", "కనిపిస్తుంది"),
        ({"noun": "chair", "plural": True}, "{L.seen*}", "కనిపిస్తాయి"),
        ({"noun": "chair", "plural": True}, "{L.is*}", "ఉన్నాయి"),
    ],
)
def test_cases_and_number(said, pattern, words):
    assert _say(Act("see", mention=Mention(**said), side="left"), pattern) == words


@pytest.mark.parametrize(
    ("room", "manner", "into", "inside", "out"),
    [
        ("kitchen", 0, "వంటగదిలోకి", "వంటగదిలో", "వంటగది నుండి"),
        ("kitchen", 1, "వంటింట్లోకి", "వంటింట్లో", "వంటింటి నుండి"),
        ("bathroom", 1, "బాత్రూమ్\u200cలోకి", "బాత్రూమ్\u200cలో", "బాత్రూమ్ నుండి"),
        ("library", 0, "గ్రంథాలయంలోకి", "గ్రంథాలయంలో", "గ్రంథాలయం నుండి"),
    ],
)
def test_rooms_take_their_endings(room, manner, into, inside, out):
    act = Act("enter", room)
    assert [_say(act, slot, manner) for slot in ("{R.into}", "{R.in}", "{R.from}")] == [
        into,
        inside,
        out,
    ]


def test_accusatives_follow_the_last_sound():
    for ways in load_lexicon("telugu")["nouns"].values():
        for way in ways:
            word, accusative = way["nominative"], way["accusative"]
            if word.endswith("\u0c02"):
                assert accusative == word[:-1].rstrip("ె") + "ాన్ని"
            elif word.endswith(("ి", "ీ")):
                assert accusative == word + "ని"
            else:
                assert accusative in (word + "ను", word + "\u200cను")


def test_a_clause_before_another_ends_in_a_participle():
    act = Act("turn", side="right")
    assert _say(act, "{S.to} {V.turn}") == "కుడివైపు తిరగండి"
    assert _say(act, "{S.to} {V.turn}", is_final=False) == "కుడివైపు తిరిగి"


def test_sentences_end_in_one_honorific_imperative():
    acts = [Act("leave", "bedroom"), Act("turn", side="left"), Act("end", "hallway")]
    acts += [Act("enter", "kitchen"), Act("stop", mention=Mention("fridge"))]
    steps = [Step(act, place, place + 1) for place, act in enumerate(acts)]
    for seed in range(40):
        text = realise(telugu(), steps, np.random.default_rng(seed)).text
        for sentence in text.rstrip(".").split(". "):
            assert sentence.endswith("ండి")
            assert sentence.count("ండి") == 1 + sentence.count("నుండి")
