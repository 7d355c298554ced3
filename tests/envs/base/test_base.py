import copy
import dataclasses
import json
import pickle

import numpy as np
import pytest

from clipnav.envs.base.infos import LazyInfo
from clipnav.envs.base.vector_env import EpisodeSampler
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.errors import UserError


def ids_of_resets(env, count=8):
    return [env.reset()[1]["instr_id"].tolist() for _ in range(count)]


def test_seeds_of_numpy_equal_those_of_python(make_env):
    env = make_env(3)
    for seed in (np.int64(5), [np.int64(5), 6, 7], np.array([5, 6, 7])):
        env.reset(seed=5)
        python = ids_of_resets(env)
        env.reset(seed=seed)
        assert ids_of_resets(env) == python
    env.reset(seed=np.int64(5))
    assert env.np_random_seed == 5
    with pytest.raises(UserError, match=r"seed is 3\.0, but must be a whole number"):
        env.reset(seed=3.0)


def test_a_split_without_episodes_is_refused(make_env):
    split = dataclasses.replace(make_env(1).split, episodes=[])
    with pytest.raises(ValueError, match="the split has no episodes"):
        VlnVectorEnv(split)


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


@pytest.fixture
def made():
    return []


@pytest.fixture
def info(made):
    def maker(name):
        def make():
            made.append(name)
            return name.upper()

        return make

    return LazyInfo({"a": "A"}, {name: maker(name) for name in ("b", "c")})


WHOLE = {"a": "A", "b": "B", "c": "C"}


def test_an_entry_is_computed_once_on_first_access(info, made):
    assert info["a"] == "A"
    assert "b" in info
    assert "d" not in info
    assert made == []
    assert info["b"] == info.get("b") == info["b"] == "B"
    assert made == ["b"]
    assert info.get("d", 1) == 1
    with pytest.raises(KeyError, match="d"):
        info["d"]


@pytest.mark.parametrize(
    "look",
    [
        dict,
        lambda info: {**info},
        lambda info: info.copy(),
        lambda info: dict(info.items()),
        lambda info: dict(zip(info.keys(), info.values(), strict=True)),
        lambda info: {name: info[name] for name in info},
        lambda info: {name: info[name] for name in reversed(info)},
        lambda info: info | {},
        lambda info: {} | info,
        lambda info: eval(repr(info)),
        lambda info: json.loads(json.dumps(info)),
        lambda info: pickle.loads(pickle.dumps(info)),
        copy.copy,
        copy.deepcopy,
    ],
)
def test_every_way_to_copy_it_gives_a_complete_dictionary(info, look):
    assert isinstance(info, dict)
    whole = look(info)
    assert type(whole) is dict
    assert whole == WHOLE


def test_entries_can_be_changed_and_removed(info, made):
    info["b"] = 1
    assert info["b"] == 1
    assert made == []
    assert info.pop("c") == "C"
    assert "c" not in info
    del info["b"]
    info.update(d=2)
    info.set_lazy("e", lambda: 3)
    assert info == {"a": "A", "d": 2, "e": 3}
    assert info.setdefault("f", 4) == 4
    info |= {"g": 5}
    assert list(info) == list("adefg")
    info.clear()
    assert info == {}
