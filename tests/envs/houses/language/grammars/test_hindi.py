import re

import numpy as np
import pytest

from clipnav.envs.houses.instructions.writing import realise_acts
from clipnav.envs.houses.language.acts import Act, Mention, PlannedAct
from clipnav.envs.houses.language.annotators import Writer, annotators_of
from clipnav.envs.houses.language.grammars.languages import hindi


def _render(act, pattern, variant=0, is_final=True):
    return hindi().render(act, pattern, lambda _, options: variant % len(options), is_final)


def _mention(noun, **fields):
    return Act("see", "kitchen", Mention(noun, **fields), "left", ordinal=2)


@pytest.mark.parametrize(
    ("fields", "pattern", "words"),
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
        # Only the last noun of a compound declines.
        ({"noun": "shoe rack"}, "{L.obl} तक", "जूतों के रैक तक"),
        ({"noun": "rocking horse"}, "{L.obl} तक", "झूलने वाले घोड़े तक"),
        # Adjectives of a compound are next to its last noun.
        ({"noun": "bookshelf", "colour": "black"}, "{L.dir}", "किताबों की काली अलमारी"),
        ({"noun": "shoe rack", "colour": "yellow"}, "{L.dir}", "जूतों का पीला रैक"),
        ({"noun": "shoe rack", "colour": "yellow"}, "{L.obl}", "जूतों के पीले रैक"),
        ({"noun": "desk", "material": "wooden"}, "{L.obl}", "पढ़ने की लकड़ी की मेज़"),
        ({"noun": "desk", "ordinal": 2}, "{L.obl}", "दूसरी पढ़ने की मेज़"),
        # Verbs agree with the landmark, also with masculine nouns in -ī.
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
def test_words_agree_in_gender_number_and_case(fields, pattern, words):
    assert _render(_mention(**fields), pattern) == words


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
    assert _render(act, "{L.obl} {R.vala*} {R.obl} में") == words


def test_agreement_follows_the_chosen_synonym():
    # दरी is feminine, क़ालीन is masculine.
    act = Act("see", mention=Mention("rug", "yellow"), side="ahead")
    texts = {_render(act, "{L.dir} {L.seen*}", variant) for variant in range(4)}
    assert texts == {"पीला क़ालीन दिखेगा", "पीली दरी दिखेगी"}


def test_noun_forms_fit_their_gender():
    from clipnav.envs.houses.language.grammars.lexicon import load_lexicon

    for synonyms in load_lexicon("hindi")["nouns"].values():
        for noun in synonyms:
            if noun["gender"] == "f":
                assert noun["direct"] == noun["oblique"]
                assert noun["plural"].endswith(("ें", "याँ", "एँ"))
            elif noun["direct"].endswith("ा"):
                assert noun["oblique"] == noun["plural"]
                assert noun["oblique"].endswith("े")


def test_sentences_end_in_verbs_with_one_form_of_the_imperative():
    acts = [Act("leave", "bedroom"), Act("turn", side="left"), Act("end", "hallway")]
    acts += [Act("enter", "kitchen"), Act("stop", mention=Mention("fridge"))]
    steps = [PlannedAct(act, position, position + 1) for position, act in enumerate(acts)]
    polite, plain = re.compile("(िए|इए|ीजिए)([ ,।]|$)"), re.compile("(ें|एँ)([ ,।]|$)")
    for seed in range(40):
        text = realise_acts(
            hindi(), steps, Writer(annotators_of("hi-IN")[seed % 20], np.random.default_rng(seed))
        ).text
        sentences = text.split("। ")
        assert all(polite.search(text + "।") or plain.search(text + "।") for text in sentences)
        ends = [sentence.rstrip("।").split(" ")[-1] for sentence in sentences]
        assert len({bool(polite.search(end)) for end in ends}) == 1
        assert text.endswith("।")
