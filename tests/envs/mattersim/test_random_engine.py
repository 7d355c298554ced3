import math

import pytest

from clipnav.envs.mattersim.engine import RandomEngine


def numbers(seed, count):
    """Return the numbers of minstd_rand0 by its definition in the C++ standard."""
    state = seed
    for _ in range(count):
        state = state * 16807 % 2147483647
        yield state


def test_the_ten_thousandth_number_equals_the_standard():
    engine = RandomEngine()
    for _ in range(9_999):
        engine.index(2**31 - 3)  # covers all values except one: draws one number, rarely two
    *_, last = numbers(1, 10_000)
    assert last == 1043618065  # [rand.predef] of the C++ standard
    assert engine.index(2**31 - 3) == last - 1


def test_headings_use_two_numbers_low_part_first():
    engine, (low, high) = RandomEngine(7), numbers(7, 2)
    size = 2147483646
    assert (
        engine.heading() == ((low - 1) + (high - 1) * float(size)) / float(size) ** 2 * 2 * math.pi
    )


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_indices_cover_their_range_evenly(count):
    engine = RandomEngine(3)
    drawn = [engine.index(count) for _ in range(300 * count)]
    assert set(drawn) == set(range(count))
    assert all(200 < drawn.count(i) < 400 for i in range(count))


def test_seed_0_means_1_and_negative_seeds_wrap_to_64_bits():
    assert RandomEngine(0).index(10**6) == RandomEngine(1).index(10**6)
    assert RandomEngine(-1).index(10**6) == RandomEngine(2**64 - 1).index(10**6)


def test_a_copy_is_independent():
    engine = RandomEngine(5)
    engine.index(10)
    copy = engine.copy()
    ahead = [copy.index(1000) for _ in range(5)]
    assert [engine.index(1000) for _ in range(5)] == ahead
