import pytest

from clipnav.vl_tasks.text.java import java_ready
from clipnav.vl_tasks.text.ptb import JAVA_NAME, PYTHON_NAME, python_words, tokenize

CAPTIONS = [
    "A man's dog isn't here, he said: \"hello\" (really)!",
    "Two t-shirts; 1,000.50 dollars & 50% off... ok?",
    "Mr. Smith goes to Washington D.C. at 5:30 p.m.",
    "a black/white cat and/or dog -- yes",
    "He cannot gonna wanna gimme it",
    "the kids' toys aren't theirs'",
    "It's John's. They'll say we're fine; I'm not",
    "50's style 1950s '90s rock 'n' roll",
    "a man , a plan . a canal",
    "3/4 of a 12-year-old's pizza 2x4",
    "caf\u00e9 na\u00efve fa\u00e7ade \u201csmart\u201d don\u2019t",
    "Hello!!! What??",
    "A woman - in red - walks at 7:00am",
    "5'10\" tall; ma'am o'clock",
    "",
    "a [b] {c}",
]


def test_contractions_are_split_and_brackets_kept():
    assert python_words("The man's dog isn't (really) here!") == (
        "the man 's dog is n't -lrb- really -rrb- here".split()
    )


@pytest.mark.skipif(not java_ready(), reason="requires Java and pycocoevalcap")
def test_the_python_rules_match_the_official_tokenizer():
    official, name = tokenize({1: CAPTIONS[:9], 2: CAPTIONS[9:]}, "java")
    ours, our_name = tokenize({1: CAPTIONS[:9], 2: CAPTIONS[9:]}, "python")
    assert (name, our_name) == (JAVA_NAME, PYTHON_NAME)
    assert ours == official


@pytest.mark.parametrize(
    "tokenizer",
    [
        "python",
        pytest.param("java", marks=pytest.mark.skipif(not java_ready(), reason="requires Java")),
    ],
)
def test_line_breaks_do_not_split_captions(tokenizer):
    broken = ["a dog\nruns", *(f"a dog{mark}runs" for mark in "\r\v\f\x85\u2028\u2029"), "b"]
    assert tokenize({"x": broken, "y": []}, tokenizer)[0] == {
        "x": ["a dog runs"] * 7 + ["b"],
        "y": [],
    }
