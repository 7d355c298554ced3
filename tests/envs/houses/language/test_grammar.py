import numpy as np
import pytest

from clipnav.envs.houses.language.acts import EDGE_RANGES, STATEMENTS, TURNS, Act, Mention
from clipnav.envs.houses.language.grammar import (
    DISTANCES,
    ORDINALS,
    parse,
    pattern_fields,
    tokens_of,
)
from clipnav.envs.houses.language.grammars.languages import TAGS, language_of
from clipnav.envs.houses.survey.landmarks import PLURALS


def make_act(kind, fields, language, rng) -> Act:
    """Build an act of a kind with random values in the given fields."""
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
def test_parsing_a_rendered_pattern_returns_its_act(tag):
    language = language_of(tag)
    rng = np.random.default_rng(0)
    for kind, patterns in language.patterns.items():
        for pattern in patterns:
            for _ in range(12):
                act = make_act(kind, pattern_fields(pattern), language, rng)
                for is_final in (True, False) if language.can_chain(pattern) else (True,):
                    choose = lambda _, options: int(rng.integers(len(options)))  # noqa: E731
                    text = language.render(act, pattern, choose, is_final)
                    assert not set("{}()|<>") & set(text)
                    assert parse(language, text + language.connectives.stop) == [act], text


@pytest.mark.parametrize("tag", TAGS)
def test_every_act_has_several_patterns(tag):
    language = language_of(tag)
    assert set(language.patterns) == {*EDGE_RANGES, *TURNS, *STATEMENTS}
    for kind, patterns in language.patterns.items():
        assert len(set(patterns)) == len(patterns) >= 2, kind
    with pytest.raises(ValueError, match=f"{tag} has no pattern"):
        language.patterns_for(Act("leave", metres=2))


@pytest.mark.parametrize("tag", TAGS)
def test_no_two_mentions_have_the_same_wording(tag):
    language = language_of(tag)
    for slot in ("L.the", "L.a", "L.dir", "L.obl", "L.nom", "L.gen", "L.acc"):
        mentions: dict = {}
        for noun in language.nouns:
            for mention in (Mention(noun), Mention(noun, "red"), Mention(noun, material="glass")):
                for text in language._wordings("L", mention, slot[2:]):
                    words = " ".join(language.read(text))
                    assert mentions.setdefault(words, mention) == mention, text
    for form in ("the", "obl", "in", "into", "from", "gen"):
        rooms: dict = {}
        for room in language.rooms:
            for text in language._wordings("R", room, form):
                assert rooms.setdefault(" ".join(language.read(text)), room) == room, text


@pytest.mark.parametrize("tag", TAGS)
def test_texts_outside_the_grammar_are_rejected(tag):
    language = language_of(tag)
    assert parse(language, "Colourless green ideas sleep furiously.") is None
    act = Act("stop", "kitchen", Mention("fridge"))
    text = language.render(act, language.patterns_for(act)[0], lambda *_: 0)
    assert parse(language, text + " xyz") is None
    assert parse(language, "") == []


def test_tokens_keep_vowel_signs_and_joiners_within_words():
    assert tokens_of("Go, then stop.") == ["go", ",", "then", "stop", "."]
    assert tokens_of("सीढ़ियों से जाएँ।") == ["सीढ़ियों", "से", "जाएँ", "।"]
    assert tokens_of("బాత్రూమ్\u200cలోకి వెళ్ళండి.") == ["బాత్రూమ్\u200cలోకి", "వెళ్ళండి", "."]


def test_only_plural_nouns_have_plural_mentions():
    plurals = {mention.noun for mention in language_of("hi-IN")._mentions if mention.plural}
    assert plurals == PLURALS
