import pytest

from clipnav.envs.houses.language.acts import Act, Mention
from clipnav.envs.houses.language.grammars.languages import english
from clipnav.envs.houses.language.grammars.lexicon import load_lexicon


def _render(tag, act, pattern, variant=0):
    return english(tag).render(act, pattern, lambda _, options: variant % len(options))


@pytest.mark.parametrize(
    ("mention", "words"),
    [
        (Mention("armchair"), "an armchair"),
        (Mention("armchair", "blue"), "a blue armchair"),
        (Mention("bed", "orange"), "an orange bed"),
        (Mention("umbrella stand"), "an umbrella stand"),
        (Mention("desk", material="wooden"), "a wooden desk"),
        (Mention("painting", plural=True), "paintings"),
    ],
)
def test_indefinite_articles_fit_the_next_word(mention, words):
    assert _render("en-US", Act("see", mention=mention, side="left"), "{L.a}") == words


def test_verbs_agree_in_number():
    pattern = "there {L.is*} {L.a} {S.on}"
    one = Act("see", mention=Mention("chair", "red"), side="ahead")
    many = Act("see", mention=Mention("chair", "red", plural=True), side="ahead")
    assert _render("en-US", one, pattern) == "there is a red chair in front of you"
    assert _render("en-US", many, pattern) == "there are red chairs in front of you"


def test_plurals_of_nouns_are_spelt_regularly():
    irregular = {"chest of drawers": "chests of drawers"}
    endings = (("lf", "lves"), ("ey", "eys"), ("y", "ies"), ("ch", "ches"), ("x", "xes"))
    for wordings in load_lexicon("english")["nouns"].values():
        for singular, plural in (pair for pairs in wordings.values() for pair in pairs):
            ending, replaced = next(
                ((end, new) for end, new in endings if singular.endswith(end)), ("", "s")
            )
            expected = singular.removesuffix(ending) + replaced
            assert plural == irregular.get(singular, expected)


def test_ordinals_precede_colours():
    act = Act("past", mention=Mention("chair", "red", ordinal=2))
    assert _render("en-IN", act, "pass {L.the}") == "pass the second red chair"


@pytest.mark.parametrize(
    ("act", "pattern", "american", "indian"),
    [
        (Act("past", mention=Mention("trash can")), "{L.the}", "the trash can", "the dustbin"),
        (Act("past", mention=Mention("bed", "grey")), "{L.the}", "the gray bed", "the grey bed"),
        (Act("leave", "hallway"), "{R.the}", "the hallway", "the corridor"),
        (Act("straight", metres=3), "{D.unit}", "ten feet", "three metres"),
    ],
)
def test_english_varieties_differ_in_words_and_units(act, pattern, american, indian):
    assert _render("en-US", act, pattern) == american
    assert _render("en-IN", act, pattern) == indian


def test_distances_in_feet_are_distinct_and_accurate():
    from clipnav.envs.houses.language.grammar import DISTANCES
    from clipnav.envs.houses.language.grammars.languages import _FEET

    numbers = {"six": 6, "ten": 10, "twelve": 12, "fifteen": 15, "twenty": 20, "thirty": 30}
    numbers["twenty-five"] = 25
    assert set(_FEET) == set(DISTANCES)
    assert len(set(_FEET.values())) == len(_FEET)
    for metres, words in _FEET.items():
        assert numbers[words] == pytest.approx(metres / 0.3048, abs=1.5)
