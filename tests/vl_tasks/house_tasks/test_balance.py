from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipnav.vl_tasks.house_tasks.balance import balanced, chance

PAIRS = st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), max_size=60)


def _key(pair):
    return pair[0]


def _answer(pair):
    return pair[1]


@given(PAIRS, st.integers(0, 40), st.integers(0, 9))
def test_answers_are_equally_frequent_under_each_key(pairs, most, seed):
    chosen = balanced(pairs, _key, _answer, most, np.random.default_rng(seed))
    assert len(chosen) <= most
    assert not Counter(chosen) - Counter(pairs)
    for key in "abc":
        counts = Counter(answer for k, answer in chosen if k == key)
        assert len(set(counts.values())) <= 1
        assert len(counts) != 1
    if chosen:
        assert chance(chosen, _key, _answer) <= 0.5


def test_as_many_as_possible_are_kept():
    pairs = [("a", "x")] * 9 + [("a", "y")] * 5 + [("a", "z")]
    rng = np.random.default_rng(0)
    assert Counter(balanced(pairs, _key, _answer, 99, rng)) == {("a", "x"): 5, ("a", "y"): 5}
    with_three = balanced(pairs, _key, _answer, 99, rng, min_answers=3)
    assert Counter(with_three) == {("a", "x"): 1, ("a", "y"): 1, ("a", "z"): 1}


def test_rare_keys_are_kept_and_chance_is_that_of_the_most_frequent_answer():
    pairs = [("a", "x"), ("a", "y")] * 50 + [("b", "x"), ("b", "y")]
    chosen = balanced(pairs, _key, _answer, 6, np.random.default_rng(0))
    assert Counter(key for key, _ in chosen) == {"a": 4, "b": 2}
    assert chance([*pairs[:3], ("b", "z")], _key, _answer) == pytest.approx(3 / 4)
