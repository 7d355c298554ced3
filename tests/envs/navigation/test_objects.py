"""Objects: files, tables and observations, and stops that point one out."""

import json

import gymnasium as gym
import h5py
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.vector import AutoresetMode
from safetensors.numpy import load_file

from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.objects import DeviceObjects, WorldObjects
from clipnav.storage.errors import UserError
from clipnav.storage.features.objects import Objects, open_objects, write_objects

WIDTH, MOST = 5, 4
KEYS = [f"attic_a{i}" for i in range(9)] + [f"barn_b{i}" for i in range(6)]


def random_objects(rng, count):
    """Objects with the ids of the annotations of the tiny world, 7 to 9, and others."""
    return Objects(
        ids=[str(number) for number in rng.permutation(np.arange(5, 10))[:count]],
        names=["vase"] * count,
        features=rng.standard_normal((count, WIDTH)),
        directions=rng.uniform(-1.5, 1.5, (count, 2)) * (4, 1),
        sizes=rng.uniform(0.01, 1, (count, 2)),
    )


@pytest.fixture(scope="module")
def viewpoints():
    rng = np.random.default_rng(3)
    counts = [MOST, *rng.integers(0, MOST + 1, len(KEYS) - 1)]
    return [random_objects(rng, int(count)) for count in counts]


@pytest.fixture(scope="module")
def path(tmp_path_factory, viewpoints):
    path = tmp_path_factory.mktemp("objects") / "objects.safetensors"
    write_objects(path, KEYS, viewpoints, {"encoder": "test"})
    return path


@pytest.fixture
def make(tiny_arguments, path):
    def build(num_envs=None, **changes):
        arguments = {**tiny_arguments, "objects": path, "split": "train", **changes}
        if num_envs is None:
            return gym.make("REVERIE-CLIP-v0", **arguments)
        return gym.make_vec("REVERIE-CLIP-v0", num_envs, **arguments)

    return build


def test_a_file_contains_what_was_written(path, viewpoints):
    store = open_objects(path)
    assert (store.width, store.most, store.metadata["encoder"]) == (WIDTH, MOST, "test")
    for key, part in zip(KEYS, viewpoints, strict=True):
        rows = list(store.rows(*key.split("_")))
        assert store.ids[rows].tolist() == part.ids
        np.testing.assert_allclose(store.features[rows], part.features, atol=2e-3)
        np.testing.assert_allclose(store.directions[rows], part.directions, atol=1e-6)
        np.testing.assert_allclose(store.sizes[rows], part.sizes, atol=1e-6)
    assert list(store.rows("attic", "a10")) == []


@pytest.mark.parametrize("observe", ["features", "indices", "rgb"])
def test_environments_pass_the_check_of_gymnasium(make, observe, monkeypatch):
    if observe == "rgb":
        from tests.envs.marked_panoramas import MarkedPanoramas

        env = make(observe=observe, pictures=MarkedPanoramas(), features=None, image_size=8)
    else:
        env = make(observe=observe)
    check_env(env.unwrapped, skip_render_check=True)
    observed = {name for name in env.observation_space if name.startswith("object")}
    of_boxes = {"object_directions", "object_sizes", "object_mask"}
    expected = {"features": {"objects", *of_boxes}, "indices": set(), "rgb": of_boxes}
    assert observed == expected[observe]
    assert env.action_space.n == env.unwrapped.core.nav_world.num_actions + MOST


def test_without_objects_nothing_changes(make):
    env = make(objects="none")
    assert not any(name.startswith("object") for name in env.observation_space)
    assert env.action_space.n == env.unwrapped.core.nav_world.num_actions
    assert "object_ids" not in env.reset(seed=0)[1]


def test_observations_are_those_of_the_viewpoint_relative_to_the_agent(make, viewpoints):
    env = make(8)
    observation, info = env.reset(seed=1)
    rng = np.random.default_rng(1)
    seen = 0
    for _ in range(30):
        masks = env.unwrapped.action_masks()
        moves = env.unwrapped.nav_world.num_actions
        assert (masks[:, moves:] == observation["object_mask"]).all()
        for row in range(8):
            part = viewpoints[KEYS.index(f"{info['scan'][row]}_{info['viewpoint'][row]}")]
            count = len(part.ids)
            assert info["object_ids"][row].tolist() == part.ids + [""] * (MOST - count)
            assert observation["object_mask"][row].tolist() == [1] * count + [0] * (MOST - count)
            own = {name: observation[name][row] for name in observation if "object" in name}
            assert not any(values[count:].any() for values in own.values())
            np.testing.assert_allclose(own["objects"][:count], part.features, atol=2e-3)
            facing = [observation[name][row, 0] for name in ("heading", "elevation")]
            turned = own["object_directions"][:count] + facing - part.directions
            np.testing.assert_allclose(np.cos(turned), 1, atol=1e-5)
            area = part.sizes.prod(1)
            np.testing.assert_allclose(own["object_sizes"][:count, :2], part.sizes, atol=1e-6)
            np.testing.assert_allclose(own["object_sizes"][:count, 2], area, atol=1e-6)
            seen += count
        actions = [rng.choice(np.flatnonzero(mask[:moves])[1:]) for mask in masks]
        observation, _, _, _, info = env.step(np.array(actions))
    assert seen > 100


def test_single_agents_and_tensors_agree_with_the_batch(make):
    batch, single = make(4), [make() for _ in range(4)]
    indices = make(4, observe="indices")
    device = DeviceObjects(indices.unwrapped.objects)
    observation, info = batch.reset(seed=5)
    index, _ = indices.reset(seed=5)
    ones = [env.reset(seed=5 + row) for row, env in enumerate(single)]
    rng = np.random.default_rng(5)
    for _ in range(5):
        view = device.gather(index["viewpoint"], index["view"])
        names = ("objects", "object_directions", "object_sizes", "object_mask")
        for name, values in zip(names, view, strict=True):
            np.testing.assert_allclose(values, observation[name], atol=1e-5)
            for row, (own, _) in enumerate(ones):
                np.testing.assert_array_equal(own[name], observation[name][row])
        for row, (_, own) in enumerate(ones):
            assert own["target_object"] == info["target_object"][row]
            assert own["object_ids"].tolist() == info["object_ids"][row].tolist()
        moves = batch.unwrapped.nav_world.num_actions
        masks = batch.unwrapped.action_masks()[:, :moves]
        actions = np.array([rng.choice(np.flatnonzero(mask)[1:]) for mask in masks])
        observation, _, _, _, info = batch.step(actions)
        index = indices.step(actions)[0]
        ones = [env.step(action)[::4] for env, action in zip(single, actions.tolist(), strict=True)]


def test_a_stop_answers_with_an_object_of_the_last_viewpoint(make):
    env = make(3, autoreset_mode=AutoresetMode.DISABLED, shuffle=False)
    core = env.unwrapped
    env.reset(seed=0, options={"episode_ids": ["10_7_0", "11_8_0", "12_9_0"]})
    assert core.answers() == [None] * 3
    moves, nodes = core.nav_world.num_actions, core.walks.nodes
    counts = core.objects.mask[nodes].sum(1)
    # The first points out its last object, the second one that is not there, the third moves on.
    actions = np.array([moves + counts[0] - 1, moves + MOST - 1, 1])
    assert counts[1] < MOST
    _, _, terminated, _, info = env.step(actions)
    assert terminated.tolist() == [True, True, False]
    first, second, third = core.answers()
    last = counts[0] - 1
    assert first.object_id == info["object_ids"][0][last]
    assert (first.heading, first.elevation) == tuple(core.objects.directions[nodes[0], last])
    assert second is None
    assert third is None
    env.step(np.full(3, moves))  # ended agents keep their answer
    assert core.answers()[:2] == [first, None]
    route = np.full((3, 1), -1)
    env.reset(options={"reset_mask": np.array([True, False, True])})
    assert core.answers()[0] is None
    core.follow(route, np.array([True, True, False]), np.array([0, 0, 0]))
    has = core.objects.mask[core.walks.nodes, 0]
    ids = [answer and answer.object_id for answer in core.answers()]
    assert ids == [core.objects.ids[core.walks.nodes[0], 0] if has[0] else None, None, None]
    with pytest.raises(UserError, match=r"3 integers in -1\.\.3"):
        core.follow(route, np.zeros(3, bool), np.array([0, 0, MOST]))


def test_targets_are_named_only_at_viewpoints_of_the_goal(make):
    env = make(16)
    _, info = env.reset(seed=2)
    rng = np.random.default_rng(2)
    found = missed = 0
    for _ in range(40):
        for row, episode in enumerate(env.unwrapped.current_episodes()):
            ids = info["object_ids"][row].tolist()
            is_end = info["viewpoint"][row] in episode.goal.viewpoints
            here = ids.index(episode.goal.object_id) if episode.goal.object_id in ids else -1
            assert info["target_object"][row] == (here if is_end else -1)
            found += is_end and here >= 0
            missed += not is_end and here >= 0
        actions = [rng.choice(np.flatnonzero(mask)) for mask in info["action_mask"]]
        info = env.step(np.array(actions))[-1]
    assert found > 10
    assert missed > 10


class _Graphs:
    """Names of viewpoints, as those of a `NavWorld`."""

    def __init__(self, names):
        self.viewpoint_ids = np.array(names, dtype=object)
        self.scan_names = np.full(len(names), "scan", dtype=object)
        self.mask = np.ones((len(names), 1), np.int8)

    __len__ = NavWorld.__len__


def test_directions_and_sizes_are_those_of_duet(golden_systems, tmp_path):
    golden = json.loads((golden_systems / "duet_objects_argmax.json").read_text())
    tensors = load_file(golden_systems / "duet_objects_argmax.safetensors")
    file = tmp_path / "objects.hdf5"
    with h5py.File(file, "w") as out:
        for name, part in golden["objects"].items():
            if part["obj_ids"] and f"objects.{name}" in tensors:
                data = out.create_dataset(f"scan_{name}", data=tensors[f"objects.{name}"])
                data.attrs.update({**part, "obj_ids": np.array(part["obj_ids"], "S")})
    world = WorldObjects(_Graphs(list(golden["objects"])), open_objects(file))
    compared = 0
    for number, step in enumerate(golden["steps"]):
        fts = tensors[f"step{number}.panorama.loc_fts"]
        for row, state in enumerate(step["obs"]):
            node = np.flatnonzero(world_names(golden) == state["viewpoint"])
            first = int(tensors[f"step{number}.panorama.view_lens"][row])
            count = int(tensors[f"step{number}.panorama.obj_lens"][row])
            view = np.array([state["viewIndex"]])
            heading, elevation = world.relative(node, view)[0, :count].T
            wide, high, area = world.sizes[node[0], :count].T
            own = [np.sin(heading), np.cos(heading), np.sin(elevation), np.cos(elevation)]
            own = np.stack([*own, high, wide, area], 1)
            np.testing.assert_allclose(own, fts[row, first : first + count], atol=1e-5)
            compared += count
    assert compared > 10


def world_names(golden):
    return np.array(list(golden["objects"]))


def test_hdf5_files_of_soon_have_boxes_in_pixels(tmp_path):
    boxes = np.array([[0, 30, 60, 330], [300, 300, 600, 600]])
    file = tmp_path / "soon.h5"
    with h5py.File(file, "w") as out:
        data = out.create_dataset("scan_a", data=np.ones((2, 2048 + 1601), np.float32))
        data.attrs.update({"directions": np.zeros((2, 2)), "bboxes": boxes, "obj_ids": [4, 9]})
    store = open_objects(file)
    assert (store.width, store.ids.tolist()) == (2048, ["4", "9"])
    np.testing.assert_allclose(store.sizes, [[0.1, 0.5], [0.5, 0.5]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"obj_ids": ["1"]}, r"attribute obj_ids of scan_a has shape \(1,\), not \(2,\)"),
        ({"obj_ids": ["1", "1"]}, "scan_a has an object twice"),
        ({"directions": np.zeros((2, 3))}, "attribute directions of scan_a has shape"),
        ({"sizes": np.array([[1, 2], [700, 3]])}, "scan_a has a number that is not finite, or"),
        ({"directions": np.array([[1, np.nan], [0, 3]])}, "scan_a has a number that is not fin"),
    ],
)
def test_bad_hdf5_files_are_named_in_a_line(tmp_path, change, message):
    good = {"directions": np.zeros((2, 2)), "sizes": np.ones((2, 2)), "obj_ids": ["1", "2"]}
    file = tmp_path / "objects.hdf5"
    with h5py.File(file, "w") as out:
        data = out.create_dataset("scan_a", data=np.ones((2, 768), np.float32))
        data.attrs.update({**good, **change})
    with pytest.raises(UserError, match=message) as caught:
        open_objects(file)
    assert str(caught.value).startswith(str(file))
