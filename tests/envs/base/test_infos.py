import copy
import json
import pickle

import numpy as np
import pytest

from clipnav.envs.base.infos import LazyInfo, scattered


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


def test_values_are_scattered_over_all_agents():
    entries = scattered({"x": np.array([1.5, 2.5])}, np.array([True, False, True]))
    assert entries["x"].tolist() == [1.5, 0.0, 2.5]
    assert entries["_x"].tolist() == [True, False, True]
