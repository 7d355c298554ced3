import dataclasses
import gc
import json
import weakref

import gymnasium as gym
import numpy as np
import pytest

import clipnav.envs  # noqa: F401  (registers the environments)
from clipnav.envs.episodes import annotations
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.sharing import SharedObjects, file_stamp
from clipnav.storage.features.store import FeatureStore


class Thing:
    pass


def test_an_object_is_shared_as_long_as_it_is_used():
    shared = SharedObjects()
    thing = shared.get("a", Thing)
    assert shared.get("a", Thing) is thing
    assert shared.get("b", Thing) is not thing
    watched = weakref.ref(thing)
    del thing
    gc.collect()
    assert watched() is None


def test_the_stamp_of_a_file_changes_with_its_content(tmp_path):
    path = tmp_path / "file"
    path.write_text("one")
    before = file_stamp(path)
    path.write_text("three")
    assert file_stamp(path) != before
    with pytest.raises(FileNotFoundError):
        file_stamp(tmp_path / "missing")


def test_environments_read_each_file_once(tiny_arguments, monkeypatch):
    read, files = annotations.read_records, []

    def counted(path, *arguments):
        files.append(path.name)
        return read(path, *arguments)

    monkeypatch.setattr(annotations, "read_records", counted)
    arguments = {**tiny_arguments, "max_instruction_length": 17}
    made = [gym.make("R2R-CLIP-v0", **arguments) for _ in range(4)]
    made.append(gym.make_vec("R2R-CLIP-v0", 2, **arguments))
    assert files == ["R2R_train.json"]
    assert len({id(env.unwrapped.core.split) for env in made[:4]}) == 1
    assert len({id(env.unwrapped.core._walks._starts) for env in made[:4]}) == 1
    gym.make("R2R-CLIP-v0", **{**arguments, "split": "val_unseen"})
    assert files[1:] == ["R2R_val_unseen.json", "R2R_train.json"]


@pytest.mark.parametrize(
    "change",
    [
        {"split": "val_unseen"},
        {"max_instruction_length": 9},
        {"exchanged_words": 1},
        {"features": "none"},
        {"language": "en"},
    ],
)
def test_other_arguments_load_another_split(tiny_arguments, change):
    first = load_split(**tiny_arguments)
    assert load_split(**tiny_arguments) is first
    assert load_split(**{**tiny_arguments, **change}) is not first


@pytest.mark.parametrize("name", ["annotations", "graph", "features", "vocabulary"])
def test_a_changed_file_is_read_again(own_world, name):
    vocabulary = own_world / "words.json"
    store = own_world / "features.safetensors"
    arguments = {"world": "matterport", "data_dir": own_world, "features": store}
    load_split(**arguments).tokenizer.save(vocabulary)
    arguments["tokenizer"] = vocabulary
    before = load_split(**arguments)
    if name == "annotations":
        path = own_world / "r2r" / "R2R_train.json"
        records = json.loads(path.read_text())
        path.write_text(json.dumps(records[1:]))
        assert len(load_split(**arguments).episodes) == len(before.episodes) - 2
    elif name == "graph":
        path = own_world / "matterport" / "connectivity" / "attic_connectivity.json"
        records = json.loads(path.read_text())
        records[0]["pose"][3] += 0.25
        path.write_text(json.dumps(records))
        after = load_split(**arguments).nav_world
        assert not np.array_equal(after.distances, before.nav_world.distances)
    elif name == "features":
        views = 1 + np.asarray(before.store.views)
        FeatureStore.write(store, views, before.store.keys)
        np.testing.assert_array_equal(load_split(**arguments).store.views, views)
    else:
        words = json.loads(vocabulary.read_text())["words"]
        vocabulary.write_text(json.dumps({"words": [*words[:-2], words[-1]]}))
        assert len(load_split(**arguments).tokenizer) == len(words) - 1


def test_shared_objects_cannot_be_changed(tiny_arguments):
    split = load_split(**tiny_arguments)
    assert isinstance(split.episodes, tuple)
    world = split.nav_world
    arrays = [split.tokens, split.instr_ids, split.instructions, world.candidate_ids, world.valid]
    arrays += [value for value in vars(world).values() if isinstance(value, np.ndarray)]
    assert len(arrays) > 10
    for array in arrays:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = array
    with pytest.raises(dataclasses.FrozenInstanceError):
        split.dataset = "rxr"
