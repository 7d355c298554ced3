"""What every registered environment promises, whatever it observes and whoever implements it."""

import pickle
import warnings
from types import SimpleNamespace

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env, data_equivalence
from gymnasium.vector import AutoresetMode

import clipnav.envs  # noqa: F401  (registers the environments)
from clipnav.envs.navigation.settings import PICTURES
from tests.envs.marked_panoramas import MarkedPanoramas
from tests.goal_files import write_targets
from tests.launching import IN_PROCESSES

SMALL = {"rgb_size": (24, 32), "depth_size": (24, 32)}
CONTINUOUS = {"split": "val_unseen", "shuffle": False, **SMALL}  # one house, loaded once
OTHERWISE = {"teacher": "reference", "reward": "ndtw", "observe": "indices"}

CASES = {
    "r2r": ("R2R-CLIP-v0", {}),
    "rxr": ("RxR-CLIP-v0", {}),
    "rxr indices": ("RxR-CLIP-v0", OTHERWISE),
    "r4r houses": ("R4R-CLIP-v0", {"split": "val_seen"}),
    "goat houses": ("GOAT-CLIP-v0", {"split": "val_seen"}),
    **{name: (f"{name}-CLIP-v0", {}) for name in ("REVERIE", "SOON", "CVDN", "ObjectNav")},
    **{f"{name} objects": (f"{name}-CLIP-v0", {}) for name in ("REVERIE", "SOON")},
    "REVERIE objects indices": ("REVERIE-CLIP-v0", OTHERWISE),
    **{kind: ("R2R-CLIP-v0", {"observe": kind}) for kind in PICTURES},
    "r2r-ce": ("R2R-CE-CLIP-v0", CONTINUOUS),
    "rxr-ce": ("RxR-CE-CLIP-v0", CONTINUOUS),
}
BATCHES = ["r2r", "rxr indices", "REVERIE", "REVERIE objects", "CVDN", *PICTURES]


@pytest.fixture
def made(request, tiny_arguments, tmp_path):
    """Id and arguments of a case."""
    env_id, arguments = CASES[request.param]
    if "objects" in request.param:
        write_targets(tmp_path / "objects.safetensors", ("attic", "barn"))
        arguments = {"objects": str(tmp_path / "objects.safetensors"), **arguments}
    if request.param in PICTURES:
        world = {name: tiny_arguments[name] for name in ("world", "data_dir")}
        arguments = {**world, "pictures": MarkedPanoramas(), "image_size": 32, **arguments}
    elif "CE" not in env_id and "houses" not in request.param:
        arguments = {**tiny_arguments, **arguments}
    return SimpleNamespace(id=env_id, arguments=arguments)


every_environment = pytest.mark.parametrize("made", CASES, indirect=True)


@every_environment
def test_passes_the_checkers_of_gymnasium_and_stable_baselines(made):
    from stable_baselines3.common.env_checker import check_env as check_for_baselines

    slow = made.id in ("R4R-CLIP-v0", "GOAT-CLIP-v0")  # they would trace panoramas of houses
    renders = {} if slow or "pictures" in made.arguments else {"render_mode": "rgb_array"}
    env = gym.make(made.id, **made.arguments, **renders).unwrapped
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env, skip_render_check=not renders)
    known = "observation space maximum value is infinity"  # the distance to a candidate
    texts = [str(one.message) for one in caught if issubclass(one.category, UserWarning)]
    assert [text for text in texts if known not in text] == []
    with warnings.catch_warnings():
        # The checker advises against small pictures, against their batches and against matrices.
        warnings.simplefilter("ignore")
        check_for_baselines(env)


def test_every_registered_id_has_a_case():
    own = {name for name, spec in gym.registry.items() if "clipnav" in str(spec.entry_point)}
    assert {env_id for env_id, _ in CASES.values()} == own


@every_environment
def test_masks_fit_the_actions_and_draw_from_them(made):
    env = gym.make(made.id, **made.arguments)
    observation, info = env.reset(seed=0)
    masks = [env.get_wrapper_attr("action_masks")()]
    masks += [source["action_mask"] for source in (observation, info) if "action_mask" in source]
    rest = env.observation_space.spaces.get("object_mask")
    for mask in masks:
        assert mask.shape == (env.action_space.n,)
        np.testing.assert_array_equal(mask.astype(bool), masks[0])
        assert mask[env.action_space.sample(mask.astype(np.int8))]
    if rest is not None:
        np.testing.assert_array_equal(masks[0][-rest.n :], observation["object_mask"])
    batch = gym.make_vec(made.id, 2, **made.arguments)
    observation, info = batch.reset(seed=0)
    for source in (observation, info):
        if "action_mask" in source:
            assert source["action_mask"].shape == (2, env.action_space.n)


@every_environment
def test_equal_seeds_and_copies_give_equal_walks(made):
    first = gym.make(made.id, **made.arguments)
    others = [gym.make(made.id, **made.arguments)]
    if "pictures" not in made.arguments:
        others.append(gym.make(gym.envs.registration.EnvSpec.from_json(first.spec.to_json())))
    start = first.reset(seed=5)
    for env in others:
        assert data_equivalence(env.reset(seed=5), start)
    others.append(pickle.loads(pickle.dumps(first)))
    first.action_space.seed(5)
    ended = False
    for step in range(16):
        if ended:
            start = first.reset()
            assert all(data_equivalence(env.reset(), start) for env in others)
        action = start[1]["teacher_action"] if step % 2 else first.action_space.sample()
        result = first.step(action)
        assert all(data_equivalence(env.step(action), result) for env in others)
        start, ended = (result[0], result[4]), result[2] or result[3]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("made", BATCHES, indirect=True)
def test_a_batch_equals_single_environments_step_by_step(made, mode):
    many = gym.make_vec(made.id, 4, **made.arguments, autoreset_mode=mode.value)
    singles = gym.make_vec(
        made.id,
        4,
        vectorization_mode="sync",
        vector_kwargs={"autoreset_mode": mode},
        **made.arguments,
    )
    assert many.metadata["autoreset_mode"] is mode
    assert many.observation_space == singles.observation_space
    assert many.action_space == singles.action_space
    rng = np.random.default_rng(0)
    observation, info = many.reset(seed=9)
    assert_same_reset((observation, info), singles.reset(seed=9))
    for _ in range(8 if "pictures" in made.arguments else 60):
        actions = np.where(rng.random(4) < 0.3, rng.integers(6, size=4), info["teacher_action"])
        ours, theirs = many.step(actions), singles.step(actions)
        for mine, other in zip(ours[1:4], theirs[1:4], strict=True):
            np.testing.assert_array_equal(mine, other)
            assert mine.dtype == other.dtype
        assert_same_reset((ours[0], ours[4]), (theirs[0], theirs[4]))
        info = ours[4]


def assert_same_reset(mine, other):
    assert data_equivalence(mine[0], other[0])
    assert_same_infos(mine[1], other[1])


def assert_same_infos(mine, other):
    """Compare the entries that both have; a single environment reports metrics at every step."""
    names = {n for n in mine if not n.startswith("_")}
    assert names | {"metrics"} == {n for n in other if not n.startswith("_")} | {"metrics"}
    for name in names - {"final_obs"}:
        valid = mine[f"_{name}"]
        assert (other[f"_{name}"] & valid == valid).all()
        if isinstance(mine[name], dict):
            for key, values in mine[name].items():
                if name == "metrics" and not key.startswith("_"):
                    np.testing.assert_allclose(values[valid], other[name][key][valid], atol=1e-12)
            if name == "final_info":
                assert_same_infos(mine[name], other[name])
        else:
            np.testing.assert_array_equal(mine[name][valid], other[name][valid])
    if "final_obs" in mine:
        for first, second in zip(mine["final_obs"], other["final_obs"], strict=True):
            assert first is second is None or data_equivalence(first, second)


@pytest.mark.parametrize("made", ["r2r", "candidate_rgb", "r2r-ce"], indirect=True)
def test_a_batch_equals_environments_in_other_processes(made):
    several = gym.make_vec(made.id, 2, **IN_PROCESSES, **made.arguments)
    many = gym.make_vec(made.id, 2, **made.arguments)
    try:
        _, info = several.reset(seed=4)
        unshuffled = "shuffle" in made.arguments  # the agents of a batch share their order
        chosen = {"episode_ids": info["instr_id"].tolist()} if unshuffled else None
        _, info = many.reset(seed=4, options=chosen)
        for _ in range(4):
            actions = info["teacher_action"]
            ours, theirs = many.step(actions), several.step(actions)
            for name, values in ours[0].items():
                np.testing.assert_array_equal(values, theirs[0][name])
            np.testing.assert_allclose(ours[1], theirs[1])
            info = ours[4]
            np.testing.assert_array_equal(info["teacher_action"], theirs[4]["teacher_action"])
    finally:
        several.close()


@pytest.mark.parametrize("made", ["r2r", "r2r-ce"], indirect=True)
def test_a_pickled_batch_continues_equally(made):
    env = gym.make_vec(made.id, 3, **made.arguments)
    _, info = env.reset(seed=8)
    env.step(info["teacher_action"])
    copy = pickle.loads(pickle.dumps(env.unwrapped))
    for _ in range(10):
        actions = env.unwrapped.teacher_actions()
        assert data_equivalence(env.step(actions), copy.step(actions))
    assert data_equivalence(env.reset(), copy.reset())


@pytest.mark.parametrize("made", ["r2r", "r2r-ce"], indirect=True)
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("langage", "did you mean 'language'"),
        ("num_envs", r"gymnasium\.make_vec"),
        ("zzz", "there are dataset, split, world"),
        # GymEnv of torchrl leaves out its argument `frameskip` if an error contains these words.
        ("frameskip", ""),
    ],
)
def test_errors_name_unknown_arguments_and_the_remedy(made, name, hint):
    words = "" if name == "num_envs" else "got an unexpected keyword"
    message = rf"Env.*{words} argument '{name}'.*{hint}"
    with pytest.raises(TypeError, match=message):
        gym.make(made.id, **made.arguments, **{name: 2})
    if name != "num_envs":
        with pytest.raises(TypeError, match=message):
            gym.make_vec(made.id, 2, **made.arguments, **{name: 2})


@pytest.mark.parametrize("made", ["r2r", "r2r-ce"], indirect=True)
def test_options_of_vector_environments_and_wrong_actions_are_refused(made):
    env = gym.make(made.id, **made.arguments).unwrapped
    for name in ("episode_ids", "reset_mask", "scan"):
        with pytest.raises(ValueError, match=rf"'episode_id'.*not \['{name}'\].*make_vec.*"):
            env.reset(options={name: ["102_1"]})
    with pytest.raises(ValueError, match=r"no episode '1_1'.*which start with '\d+_0'"):
        env.reset(options={"episode_id": "1_1"})
    env.reset(seed=0)
    for action in (1.7, float("nan"), "1", None, np.array([0])):
        with pytest.raises(ValueError, match=r"not an integer in 0\.\."):
            env.step(action)


@pytest.mark.parametrize("limit", [3, 40])
@pytest.mark.parametrize("made", ["r2r", "r2r-ce"], indirect=True)
def test_make_truncates_with_its_time_limit_only(made, limit):
    env = gym.make(made.id, max_episode_steps=limit, **made.arguments)
    env.reset(seed=0)
    for step in range(1, limit + 1):
        masks = env.get_wrapper_attr("action_masks")()
        action = int(np.flatnonzero(masks)[2 if len(masks) == 4 else 1])
        *_, terminated, truncated, info = env.step(action)
        assert (terminated, truncated) == (False, step == limit)
    assert info["metrics"]["success"] in (0.0, 1.0)
