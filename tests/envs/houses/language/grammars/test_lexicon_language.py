import pytest

from clipnav.envs.houses.language.grammars.languages import TAGS, language_of, noun_phrases


def test_noun_phrases_keep_word_order_and_vary_nouns_fastest():
    assert noun_phrases([""], ["red", "crimson"], [""], ["sofa", "couch"]) == [
        "red sofa",
        "red couch",
        "crimson sofa",
        "crimson couch",
    ]
    assert noun_phrases(["second"], [""], ["wooden"], ["chair"]) == ["second wooden chair"]


@pytest.mark.parametrize("tag", TAGS)
def test_only_languages_with_participles_chain_clauses(tag):
    language = language_of(tag)
    participles = [verb.participle for verb in language.verbs.values()]
    assert all(participles)
    assert bool(participles) == bool(language.connectives.after_participle)
    assert bool(participles) == (language.connectives.participle_share > 0)
