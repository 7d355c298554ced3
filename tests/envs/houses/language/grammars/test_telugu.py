import numpy as np
import pytest

from clipnav.envs.houses.instructions.writing import realise_acts
from clipnav.envs.houses.language.acts import Act, Mention, PlannedAct
from clipnav.envs.houses.language.annotators import Writer, annotators_of
from clipnav.envs.houses.language.grammars.languages import telugu
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon


def _render(act, pattern, variant=0, is_final=True):
    return telugu().render(act, pattern, lambda _, options: variant % len(options), is_final)


@pytest.mark.parametrize(
    ("fields", "pattern", "words"),
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
def test_words_agree_in_number_and_case(fields, pattern, words):
    assert _render(Act("see", mention=Mention(**fields), side="left"), pattern) == words


@pytest.mark.parametrize(
    ("room", "variant", "into", "inside", "out"),
    [
        ("kitchen", 0, "వంటగదిలోకి", "వంటగదిలో", "వంటగది నుండి"),
        ("kitchen", 1, "వంటింట్లోకి", "వంటింట్లో", "వంటింటి నుండి"),
        ("bathroom", 1, "బాత్రూమ్\u200cలోకి", "బాత్రూమ్\u200cలో", "బాత్రూమ్ నుండి"),
        ("library", 0, "గ్రంథాలయంలోకి", "గ్రంథాలయంలో", "గ్రంథాలయం నుండి"),
    ],
)
def test_rooms_have_case_endings(room, variant, into, inside, out):
    act = Act("enter", room)
    assert [_render(act, slot, variant) for slot in ("{R.into}", "{R.in}", "{R.from}")] == [
        into,
        inside,
        out,
    ]


def test_accusatives_follow_the_last_sound():
    for synonyms in load_lexicon("telugu")["nouns"].values():
        for noun in synonyms:
            word, accusative = noun["nominative"], noun["accusative"]
            if word.endswith("\u0c02"):
                assert accusative == word[:-1].rstrip("ె") + "ాన్ని"
            elif word.endswith(("ి", "ీ")):
                assert accusative == word + "ని"
            else:
                assert accusative in (word + "ను", word + "\u200cను")


def test_a_clause_before_another_ends_in_a_participle():
    act = Act("turn", side="right")
    assert _render(act, "{S.to} {V.turn}") == "కుడివైపు తిరగండి"
    assert _render(act, "{S.to} {V.turn}", is_final=False) == "కుడివైపు తిరిగి"


def test_sentences_end_in_one_honorific_imperative():
    acts = [Act("leave", "bedroom"), Act("turn", side="left"), Act("end", "hallway")]
    acts += [Act("enter", "kitchen"), Act("stop", mention=Mention("fridge"))]
    steps = [PlannedAct(act, position, position + 1) for position, act in enumerate(acts)]
    for seed in range(40):
        text = realise_acts(
            telugu(), steps, Writer(annotators_of("te-IN")[seed % 20], np.random.default_rng(seed))
        ).text
        for sentence in text.rstrip(".").split(". "):
            assert sentence.endswith("ండి")
            assert sentence.count("ండి") == 1 + sentence.count("నుండి")
