import numpy as np
import pytest

from clipnav.envs.base.episode_sampler import EpisodeSampler
from clipnav.storage.errors import UserError

IDS = [f"{i}_0" for i in range(10)]


def draws(sampler, agents, count):
    return np.stack([sampler.draw(np.array(agents)) for _ in range(count)])


@pytest.mark.parametrize("shuffle", [True, False])
def test_episodes_that_occur_twice_leave_out_no_other(shuffle):
    sampler = EpisodeSampler([*IDS[:3], *IDS], 1, shuffle)
    sampler.seed(0)
    assert set(draws(sampler, [0], 100).ravel()) == set(range(13))


def test_none_keeps_the_generator_of_an_agent():
    sampler = EpisodeSampler(IDS, 2, shuffle=True)
    sampler.seed([1, 2])
    sampler.draw(np.array([0, 1]))
    reference = EpisodeSampler(IDS, 2, shuffle=True)
    reference.seed([1, 2])
    reference.draw(np.array([0, 1]))
    sampler.seed([1, None])
    again = EpisodeSampler(IDS, 1, shuffle=True)
    again.seed(1)
    drawn, expected = draws(sampler, [0, 1], 9), draws(reference, [0, 1], 9)
    np.testing.assert_array_equal(drawn[:, 1], expected[:, 1])
    np.testing.assert_array_equal(drawn[:, 0], draws(again, [0], 9)[:, 0])
    with pytest.raises(ValueError, match="3 seeds for 2 agents"):
        sampler.seed([1, 2, 3])


def test_a_seed_of_some_agents_keeps_the_generators_of_the_others():
    sampler, reference, again = (EpisodeSampler(IDS, 3, shuffle=True) for _ in range(3))
    for seeded in (sampler, reference):
        seeded.seed(5)
        seeded.draw(np.arange(3))
    sampler.seed(8, np.array([0, 2]))
    again.seed(8)
    drawn = draws(sampler, [0, 1, 2], 9)
    np.testing.assert_array_equal(drawn[:, 1], draws(reference, [0, 1, 2], 9)[:, 1])
    np.testing.assert_array_equal(drawn[:, ::2], draws(again, [0, 1, 2], 9)[:, ::2])


def test_unshuffled_episodes_come_in_order_and_start_again():
    sampler = EpisodeSampler(IDS[:5], 2, shuffle=False)
    sampler.seed(0)
    assert draws(sampler, [0, 1], 3).tolist() == [[0, 1], [2, 3], [4, 0]]
    assert sampler.draw(np.array([1])).tolist() == [1]
    sampler.seed([None, None])
    assert sampler.draw(np.array([1])).tolist() == [2]
    sampler.seed(0)
    assert sampler.draw(np.array([1])).tolist() == [0]


def test_find_returns_the_indices_of_episode_ids():
    sampler = EpisodeSampler(IDS, 2, shuffle=True)
    assert sampler.find(np.array([0, 1]), ["3_0", "9_0"]).tolist() == [3, 9]
    assert sampler.find(np.array([1]), ["", "9_0"]).tolist() == [9]
    with pytest.raises(ValueError, match="no episode '3_1' among the 10 loaded"):
        sampler.find(np.array([0, 1]), ["3_0", "3_1"])
    for wrong in (["3_0"], "30"):
        with pytest.raises(ValueError, match="one instr_id for each of 2 agents"):
            sampler.find(np.array([0, 1]), wrong)
    for other in (["3_0"], 3, None):
        with pytest.raises(UserError, match="is not the instr_id of an episode, which is a string"):
            sampler.find(np.array([0, 1]), ["3_0", other])
