import numpy as np
import pytest

from envs.houses.language.acts import EDGES, STATEMENTS, TURNS, Act, Mention
from envs.houses.language.grammar import DISTANCES, ORDINALS, parse, pattern_fields, tokens_of
from envs.houses.language.languages import TAGS, language_of
from envs.houses.survey.landmarks import PLURALS

MANNERS = range(12)


def make_act(kind, fields, language, rng) -> Act:
    """An act of a kind whose fields are filled at random."""
    noun = language.nouns[rng.integers(len(language.nouns))]
    colour = language.colours[rng.integers(len(language.colours))]
    material = language.materials[rng.integers(len(language.materials))]
    mentions = [Mention(noun), Mention(noun, colour), Mention(noun, material=material)]
    mentions += [Mention(noun, ordinal=int(rng.choice(ORDINALS)))]
    mentions += [Mention("painting", colour, plural=True)]
    sides = ("left", "right", "ahead", "behind") if kind in ("at", "see") else ("left", "right")
    values = {
        "R": ("room", language.rooms[rng.integers(len(language.rooms))]),
        "L": ("mention", mentions[rng.integers(len(mentions))]),
        "S": ("side", sides[rng.integers(len(sides))]),
        "D": ("metres", int(rng.choice(DISTANCES))),
        "O": ("ordinal", int(rng.choice(ORDINALS))),
    }
    return Act(kind, **dict(values[letter] for letter in fields))


@pytest.mark.parametrize("tag", TAGS)
def test_every_pattern_is_read_as_it_was_said(tag):
    language = language_of(tag)
    rng = np.random.default_rng(0)
    for kind, patterns in language.patterns.items():
        for pattern in patterns:
            for manner in MANNERS:
                act = make_act(kind, pattern_fields(pattern), language, rng)
                for is_final in (True, False) if language.can_chain(pattern) else (True,):
                    text = language.say(act, pattern, manner, is_final)
                    assert "{" not in text
                    assert parse(language, text + language.joints.stop) == [act], text


@pytest.mark.parametrize("tag", TAGS)
def test_every_act_has_several_patterns(tag):
    language = language_of(tag)
    assert set(language.patterns) == {*EDGES, *TURNS, *STATEMENTS}
    for kind, patterns in language.patterns.items():
        assert len(set(patterns)) == len(patterns) >= 2, kind
    with pytest.raises(ValueError, match=f"{tag} has no words"):
        language.patterns_for(Act("up", room="kitchen"))


@pytest.mark.parametrize("tag", TAGS)
def test_words_name_one_thing(tag):
    language = language_of(tag)
    for slot in ("L.the", "L.a", "L.dir", "L.obl", "L.nom", "L.gen", "L.acc"):
        said: dict = {}
        for noun in language.nouns:
            for mention in (Mention(noun), Mention(noun, "red"), Mention(noun, material="glass")):
                for text in language._ways("L", mention, slot[2:]):
                    assert said.setdefault(text, mention) == mention
    for form in ("the", "obl", "in", "into", "from", "gen"):
        rooms = [text for room in language.rooms for text in language._ways("R", room, form)]
        assert len(set(rooms)) == len(rooms)


@pytest.mark.parametrize("tag", TAGS)
def test_other_texts_are_not_read(tag):
    language = language_of(tag)
    assert parse(language, "Colourless green ideas sleep furiously.") is None
    text = language.say(Act("stop", "kitchen", Mention("fridge")), *_one(language, "stop"))
    assert parse(language, text + " xyz") is None
    assert parse(language, "") == []


def _one(language, kind):
    return language.patterns_for(Act(kind, "kitchen", Mention("fridge")))[0], 0


def test_tokens_keep_words_with_vowel_signs_and_joiners_whole():
    assert tokens_of("Go, then stop.") == ["go", ",", "then", "stop", "."]
    assert tokens_of("सीढ़ियों से जाएँ।") == ["सीढ़ियों", "से", "जाएँ", "।"]
    assert tokens_of("బాత్రూమ్\u200cలోకి వెళ్ళండి.") == ["బాత్రూమ్\u200cలోకి", "వెళ్ళండి", "."]


def test_plurals_are_those_that_mentions_use():
    plurals = {m.noun for m in language_of("hi-IN")._mentions if m.plural}
    assert plurals == PLURALS
