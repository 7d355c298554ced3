import dataclasses

import gymnasium as gym
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import clipnav.envs  # noqa: F401  (registers the environments)
from clipnav.envs.continuous.settings import FORWARD, LEFT, LOOK_DOWN, LOOK_UP, RIGHT, STOP


def repeat(env, action, count=1):
    for _ in range(count):
        result = env.step(np.full(env.num_envs, action))
    return result


@pytest.mark.parametrize(
    ("actions", "is_on_floor"),
    [((LEFT,), True), ((RIGHT, LEFT), True), ((LOOK_UP, LOOK_DOWN), False), ((STOP,), False)],
)
def test_the_first_turn_puts_an_agent_on_the_floor_as_in_habitat(
    make_box_env, box_split, actions, is_on_floor
):
    first = dataclasses.replace(box_split.episodes[0], start=(1.0, -0.04, 0.03))
    split = dataclasses.replace(box_split, episodes=[first])
    env = make_box_env(1, split=split, tilt_actions=True)
    _, info = env.reset()
    assert info["position"][0].tolist() == [1.0, -0.04, 0.03]
    for action in actions:
        *_, info = repeat(env, action)
    expected = [1, 0, 0] if is_on_floor else [1, -0.04, 0.03]
    np.testing.assert_allclose(info["position"][0], expected, atol=1e-6)
    length = env.metrics()[0]["path_length"]
    assert length == pytest.approx(0.05 if is_on_floor else 0, abs=1e-6)
    assert not info["collided"][0]


def test_a_building_whose_starts_are_off_its_floor_is_refused(make_box_env, box_split):
    away = dataclasses.replace(box_split.episodes[0], start=(1.0, -4.0, 0.0))
    env = make_box_env(1, split=dataclasses.replace(box_split, episodes=[away]))
    with pytest.raises(ValueError, match="scene hall: 1 of 1 starts are not on its floor"):
        env.reset()
    several = dataclasses.replace(box_split, episodes=[away, *box_split.episodes[:2]])
    make_box_env(1, split=several).reset()  # one path of a building may be unreachable


def test_stop_near_the_goal_is_a_success_and_gives_the_rewards_of_the_specification(make_box_env):
    env = make_box_env(2, shuffle=False)
    _, info = env.reset(seed=0)
    before = info["distance_to_goal"].copy()
    total = np.zeros(2)
    while not env._walks.terminated.all():
        _, rewards, *_, info = env.step(info["teacher_action"])
        total += rewards
    decrease = before - info["distance_to_goal"]
    np.testing.assert_allclose(total, decrease - 0.05 * info["steps"] + 2.5, atol=1e-6)
    assert info["distance_to_goal"].max() < 0.5


def test_teacher_actions_do_not_depend_on_when_they_are_read(make_box_env):
    rng = np.random.default_rng(2)
    actions = rng.choice([FORWARD, FORWARD, LEFT, RIGHT], size=(40, 4))
    always, sometimes = make_box_env(4, shuffle=False), make_box_env(4, shuffle=False)
    _, read = always.reset(seed=0)
    _, unread = sometimes.reset(seed=0)
    kept = []
    for step, action in enumerate(actions):
        expected = read["teacher_action"]
        if step % 7 == 0:
            assert unread["teacher_action"].tolist() == expected.tolist()
        kept.append((unread, expected))
        *_, read = always.step(action)
        *_, unread = sometimes.step(action)
    for info, expected in kept:  # older infos than the newest one
        assert info["teacher_action"].tolist() == expected.tolist()


def test_path_and_goal_teachers_differ_where_the_path_is_a_detour(make_box_env, box_split):
    detour = dataclasses.replace(
        box_split.episodes[0], reference_path=((1.0, 1.0, 0.0), (1.0, 2.5, 0.0), (9.0, 1.0, 0.0))
    )
    split = dataclasses.replace(box_split, episodes=[detour])
    actions = {}
    for teacher in ("path", "goal"):
        env = make_box_env(1, split=split, teacher=teacher)
        actions[teacher] = int(env.reset(seed=0)[1]["teacher_action"][0])
    assert actions == {"path": FORWARD, "goal": RIGHT}
    env = make_box_env(1, teacher="none")
    assert "teacher_action" not in env.reset(seed=0)[1]
    with pytest.raises(ValueError, match="'path' or 'goal'"):
        env.teacher_actions()


def test_only_observed_sensors_of_moved_agents_are_drawn(make_box_env):
    env = make_box_env(4, shuffle=False, observe=("depth",))
    draws = env.simulator.draws
    env.reset(seed=0)
    assert draws == [(4, ("depth",))]
    env.step(np.array([FORWARD, STOP, LEFT, STOP]))
    assert draws[1:] == [(2, ("depth",))]
    repeat(env, STOP)
    assert len(draws) == 2
    blind = make_box_env(4, observe=())
    observation, _ = blind.reset(seed=0)
    repeat(blind, FORWARD)
    assert set(observation) == {"instruction"}
    assert blind.simulator.draws == []


def test_panoramas_turn_counter_clockwise_from_the_heading(make_box_env):
    env = make_box_env(1, shuffle=False, observe=("rgb", "rgb_panorama", "depth_panorama"))
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    headings = observation["rgb_panorama"][0, :, 0, 0, 0].astype(int) * 2
    assert headings.tolist() == [0, *range(330, 0, -30)]
    np.testing.assert_array_equal(observation["rgb"], observation["rgb_panorama"][:, 0])
    assert env.simulator.draws == [(12, ("rgb", "depth"))]


class MeanColour:
    embed_dim = 3

    def pooled(self, images):
        return images.reshape(len(images), -1, 3).mean(axis=1, dtype=np.float32)


def test_features_are_those_of_the_pictures(make_box_env):
    env = make_box_env(2, encoder=MeanColour(), observe=("rgb", "clip", "clip_panorama"))
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    expected = MeanColour().pooled(observation["rgb"])
    np.testing.assert_array_equal(observation["clip"], expected)
    np.testing.assert_array_equal(observation["clip_panorama"][:, 0], expected)


def test_encoder_and_sensors_must_fit(make_box_env):
    with pytest.raises(ValueError, match=r"pass encoder="):
        make_box_env(1, observe=("clip",))
    with pytest.raises(ValueError, match=r"encoder 'house_clip' is a name: pass encoder=Clip"):
        make_box_env(1, encoder="house_clip", observe=("clip",))
    with pytest.raises(ValueError, match="encoder has no effect"):
        make_box_env(1, encoder=MeanColour())


def test_a_batch_equals_single_agents_with_consecutive_seeds(make_box_env):
    batch = make_box_env(3)
    singles = [make_box_env(1) for _ in range(3)]
    observation, info = batch.reset(seed=5)
    results = [env.reset(seed=5 + i) for i, env in enumerate(singles)]
    rng = np.random.default_rng(0)
    for _ in range(20):
        for i, (own, own_info) in enumerate(results):
            for name, values in own.items():
                np.testing.assert_array_equal(values[0], observation[name][i])
            np.testing.assert_allclose(own_info["position"][0], info["position"][i], atol=1e-12)
            assert own_info["instr_id"][0] == info["instr_id"][i]
        actions = rng.integers(1, 4, 3)
        observation, *_, info = batch.step(actions)
        results = [
            (step[0], step[4])
            for step in (env.step(actions[i : i + 1]) for i, env in enumerate(singles))
        ]


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
def test_episodes_restart_by_the_autoreset_mode(make_box_env, mode):
    env = make_box_env(2, autoreset_mode=mode)
    env.reset(seed=0)
    _, _, terminated, _, info = env.step(np.array([STOP, FORWARD]))
    assert terminated.tolist() == [True, False]
    if mode is AutoresetMode.SAME_STEP:
        assert info["final_info"]["metrics"]["steps_taken"][0] == 1
        assert info["steps"].tolist() == [0, 1]
    else:
        assert info["metrics"]["steps_taken"][0] == 1
        _, rewards, terminated, _, info = env.step(np.array([FORWARD, FORWARD]))
        assert (rewards[0], terminated[0]) == (0.0, False)
        assert info["steps"].tolist() == [0, 2]


def test_some_agents_can_be_restarted_with_given_episodes(make_box_env):
    env = make_box_env(3)
    env.reset(seed=0, options={"episode_ids": ["0_0", "1_0", "2_0"]})
    repeat(env, FORWARD, 3)
    mask = np.array([True, False, False])
    _, info = env.reset(options={"episode_ids": ["3_0", "", ""], "reset_mask": mask})
    assert info["instr_id"].tolist() == ["3_0", "1_0", "2_0"]
    assert info["steps"].tolist() == [0, 3, 3]
    with pytest.raises(ValueError, match="no episode '9_9'"):
        env.reset(options={"episode_ids": ["9_9"] * 3})


@pytest.mark.parametrize("reward", ["progress", "distance", "ndtw"])
def test_secret_goals_give_no_rewards_no_metrics_and_stop(make_box_env, box_split, reward):
    secret = dataclasses.replace(box_split.episodes[0], reference_path=())
    split = dataclasses.replace(box_split, episodes=[secret, box_split.episodes[1]])
    env = make_box_env(2, split=split, shuffle=False, reward=reward)
    _, info = env.reset(seed=0)
    assert np.isnan(info["distance_to_goal"]).tolist() == [True, False]
    assert info["teacher_action"][0] == STOP
    _, rewards, *_, info = repeat(env, STOP)
    assert rewards[0] == 0.0
    assert info["_metrics"].tolist() == [False, True]
    assert env.metrics()[0] == {}


def test_actions_outside_the_space_are_refused(make_box_env):
    env = make_box_env(2)
    with pytest.raises(gym.error.ResetNeeded):
        repeat(env, FORWARD)
    for ask in (env.teacher_actions, env.metrics, env.traces):
        with pytest.raises(gym.error.ResetNeeded):
            ask()
    env.reset(seed=0)
    with pytest.raises(ValueError, match=r"not all in 0\.\.3"):
        repeat(env, LOOK_UP)
