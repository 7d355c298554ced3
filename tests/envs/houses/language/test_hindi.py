import re

import numpy as np
import pytest

from envs.houses.language.acts import Act, Mention, Step
from envs.houses.language.hindi import hindi
from envs.houses.language.realising import realise


def _say(act, pattern, manner=0, is_final=True):
    return hindi().say(act, pattern, manner, is_final)


def _mention(noun, **said):
    return Act("see", "kitchen", Mention(noun, **said), "left", ordinal=2)


@pytest.mark.parametrize(
    ("said", "pattern", "words"),
    [
        # Adjectives in -ā: -ā, in the oblique and plural -e, and in the feminine -ī throughout.
        ({"noun": "sofa", "colour": "blue"}, "{L.dir}", "नीला सोफ़ा"),
        ({"noun": "sofa", "colour": "blue"}, "{L.obl} के पास", "नीले सोफ़े के पास"),
        ({"noun": "chair", "colour": "blue"}, "{L.dir}", "नीली कुर्सी"),
        ({"noun": "chair", "colour": "blue"}, "{L.obl} के पास", "नीली कुर्सी के पास"),
        ({"noun": "chair", "colour": "blue", "plural": True}, "{L.dir}", "नीली कुर्सियाँ"),
        ({"noun": "chair", "colour": "black", "plural": True}, "{L.obl}", "काली कुर्सियों"),
        ({"noun": "stool", "colour": "black", "plural": True}, "{L.dir}", "काले स्टूल"),
        ({"noun": "stool", "colour": "black", "plural": True}, "{L.obl}", "काले स्टूलों"),
        # Other adjectives do not change.
        ({"noun": "chair", "colour": "red"}, "{L.dir}", "लाल कुर्सी"),
        ({"noun": "fridge", "colour": "white"}, "{L.obl}", "सफ़ेद फ़्रिज"),
        # The genitive of materials and ordinals agree too.
        ({"noun": "bed", "material": "wooden"}, "{L.dir}", "लकड़ी का बिस्तर"),
        ({"noun": "bed", "material": "wooden"}, "{L.obl}", "लकड़ी के बिस्तर"),
        ({"noun": "chair", "material": "leather"}, "{L.obl}", "चमड़े की कुर्सी"),
        ({"noun": "chair", "ordinal": 2}, "{L.obl}", "दूसरी कुर्सी"),
        ({"noun": "door", "ordinal": 1}, "{L.dir}", "पहला दरवाज़ा"),
        ({"noun": "door", "ordinal": 3}, "{L.obl}", "तीसरे दरवाज़े"),
        # Compounds decline inside.
        ({"noun": "shoe rack"}, "{L.obl} तक", "जूतों के रैक तक"),
        ({"noun": "rocking horse"}, "{L.obl} तक", "झूलने वाले घोड़े तक"),
        # What is said of a compound stands next to what it is said of.
        ({"noun": "bookshelf", "colour": "black"}, "{L.dir}", "किताबों की काली अलमारी"),
        ({"noun": "shoe rack", "colour": "yellow"}, "{L.dir}", "जूतों का पीला रैक"),
        ({"noun": "shoe rack", "colour": "yellow"}, "{L.obl}", "जूतों के पीले रैक"),
        ({"noun": "desk", "material": "wooden"}, "{L.obl}", "पढ़ने की लकड़ी की मेज़"),
        ({"noun": "desk", "ordinal": 2}, "{L.obl}", "दूसरी पढ़ने की मेज़"),
        # Verbs agree with what is seen, masculine nouns in -ī among them.
        ({"noun": "chair"}, "{L.seen*}", "दिखेगी"),
        ({"noun": "chair", "plural": True}, "{L.seen*}", "दिखेंगी"),
        ({"noun": "stool", "plural": True}, "{L.seen*}", "दिखेंगे"),
        ({"noun": "television"}, "{L.will*}", "होगा"),
        ({"noun": "washing machine"}, "{L.will*}", "होगी"),
        ({"noun": "chair", "plural": True}, "{L.is*}", "हैं"),
        ({"noun": "chair"}, "{S.at} {L.ka*} {L.obl}", "बाईं ओर की कुर्सी"),
        ({"noun": "sofa"}, "{S.at} {L.ka*} {L.obl}", "बाईं ओर के सोफ़े"),
    ],
)
def test_agreement_and_case(said, pattern, words):
    assert _say(_mention(**said), pattern) == words


@pytest.mark.parametrize(
    ("room", "words"),
    [
        ("hallway", "बिस्तर वाले गलियारे में"),
        ("living room", "बिस्तर वाली बैठक में"),
        ("kid's bedroom", "बिस्तर वाले बच्चों के कमरे में"),
    ],
)
def test_vala_agrees_with_its_room(room, words):
    act = Act("enter", room, Mention("bed"))
    assert _say(act, "{L.obl} {R.vala*} {R.obl} में") == words


def test_all_synonyms_agree_with_themselves():
    # दरी is feminine and क़ालीन masculine, whichever of them a manner of speaking takes.
    act = Act("see", mention=Mention("rug", "yellow"), side="ahead")
    texts = {_say(act, "{L.dir} {L.seen*}", manner) for manner in range(4)}
    assert texts == {"पीला क़ालीन दिखेगा", "पीली दरी दिखेगी"}


def test_gender_of_nouns_fits_their_forms():
    from envs.houses.language.lexicon import load_lexicon

    for ways in load_lexicon("hindi")["nouns"].values():
        for way in ways:
            if way["gender"] == "f":
                assert way["direct"] == way["oblique"]
                assert way["plural"].endswith(("ें", "याँ", "एँ"))
            elif way["direct"].endswith("ा"):
                assert way["oblique"] == way["plural"]
                assert way["oblique"].endswith("े")


def test_clauses_end_in_verbs_and_keep_to_one_imperative():
    acts = [Act("leave", "bedroom"), Act("turn", side="left"), Act("end", "hallway")]
    acts += [Act("enter", "kitchen"), Act("stop", mention=Mention("fridge"))]
    steps = [Step(act, place, place + 1) for place, act in enumerate(acts)]
    polite, plain = re.compile("(िए|इए|ीजिए)([ ,।]|$)"), re.compile("(ें|एँ)([ ,।]|$)")
    for seed in range(40):
        text = realise(hindi(), steps, np.random.default_rng(seed)).text
        sentences = text.split("। ")
        assert all(polite.search(one + "।") or plain.search(one + "।") for one in sentences)
        ends = [one.rstrip("।").split(" ")[-1] for one in sentences]
        assert len({bool(polite.search(end)) for end in ends}) == 1
        assert text.endswith("।")
