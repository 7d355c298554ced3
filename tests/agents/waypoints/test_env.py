"""Followers of the graphs in continuous episodes: places, features, and walks."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from clipnav.agents.acting.environments import make_env
from clipnav.agents.acting.evaluation import evaluate
from clipnav.agents.acting.rollout import walk
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.envdrop.follower_agent import FollowerAgent
from clipnav.agents.envdrop.learner import make_follower
from clipnav.agents.envdrop.settings import TrainConfig
from clipnav.agents.hamt.settings import HistoryTrainConfig
from clipnav.agents.layers.encoders import InstructionEncoder
from clipnav.agents.settings import FollowerConfig
from clipnav.agents.waypoints import evaluation
from clipnav.agents.waypoints.env import (
    MOST_DECISIONS,
    MOST_PLACES,
    FloorPlaces,
    Places,
    WaypointEnv,
    camera_settings,
    places_around,
)
from clipnav.agents.waypoints.evaluation import (
    check_run,
    continuous_split,
    graph_walks,
    open_encoder,
    waypoint_walks,
)
from clipnav.agents.waypoints.settings import WaypointConfig
from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor
from clipnav.envs.continuous.settings import task_settings
from clipnav.envs.episodes import load_episodes
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.observations import angle_feature
from clipnav.envs.worlds import world_files
from tests.envs.continuous.conftest import BoxSimulator

ANGLE = 4


class PoseEncoder:
    """Encoder whose features are the colours of the first pixel: half the heading, and x."""

    embed_dim, image_size = 3, (4, 4)

    def pooled(self, images):
        """Return (N, 3) features."""
        return images[:, 0, 0].astype(np.float32)


@pytest.fixture
def make_waypoint_env(split_of_boxes):
    def build(num_envs=4, encoder=None):
        task = task_settings("r2r", max_episode_steps=200)
        simulator = BoxSimulator(camera_settings(task, (4, 4)))
        encoder = encoder or PoseEncoder()
        places = FloorPlaces(simulator)
        return WaypointEnv(split_of_boxes, simulator, task, encoder, num_envs, ANGLE, places)

    return build


def start(env):
    ids = [episode.instr_id for episode in env.episodes[: env.num_envs]]
    return env.reset(options={"episode_ids": ids})


class NearestPlace:
    """Agent that goes to the place nearest to the goal, and stops where none is nearer."""

    def __init__(self, env):
        self.env = env

    def begin(self, observation, info, live):
        """Do nothing."""

    def act(self, observation, info, live):
        """Return the actions of the live rows."""
        return np.array([self.choice(agent) for agent in live])

    def choice(self, agent):
        """Return the best action of an agent."""
        env = self.env._envs[agent]
        episode, trace = env.current_episodes()[0], env.traces()[0]
        floor = self.env._simulator.floor(episode.scan)
        headings, distances = self.env._places[agent]
        ways = distances[:, None] * np.stack(
            [np.sin(headings), np.cos(headings), np.zeros(len(headings))], axis=1
        )
        goal = np.array(episode.goal)
        here = floor.distances(trace.positions[-1:], goal)[0]
        there = floor.distances(trace.positions[-1] + ways, goal)
        return 0 if here < 1.0 or there.min() >= here else int(there.argmin()) + 1


def test_places_of_a_corner_lie_on_the_floor_and_apart():
    floor = ContinuousFloor.of_boxes([(0, 0, 2, 8), (0, 6, 8, 8)])
    headings, distances = places_around(floor, np.array([1.0, 7.0, 0.0]))
    assert 2 <= len(headings) <= MOST_PLACES
    assert distances.max() <= 2.25
    assert distances.min() >= 0.75
    ways = distances[:, None] * np.stack([np.sin(headings), np.cos(headings)], axis=1)
    places = np.column_stack([ways + np.array([1.0, 7.0]), np.zeros(len(ways))])
    assert floor.contains(places).all()
    # Both arms of the corner are among them: east (heading 90 degrees) and south (180).
    for wanted in (np.pi / 2, np.pi):
        assert np.abs(headings - wanted).min() < np.radians(25)
    gaps = np.abs(headings[:, None] - headings) + 10 * np.eye(len(headings))
    gaps = np.minimum(gaps, np.abs(2 * np.pi - gaps))
    assert gaps.min() >= np.pi / 4 - 1e-9


def test_a_good_chooser_reaches_every_goal(make_waypoint_env):
    env = make_waypoint_env()
    walk(env, NearestPlace(env), [episode.instr_id for episode in env.episodes])
    assert all(measures["success"] for measures in env.metrics())


def test_features_of_views_and_candidates(make_waypoint_env):
    env = make_waypoint_env()
    observation, _ = start(env)
    agents = np.array([2, 0])
    view = env.gather(observation["viewpoint"][agents], observation["view"][agents], 6)
    for row, agent in enumerate(agents):
        position = env._envs[agent].traces()[0].positions[-1]
        base = observation["view"][agent] % 12
        # The pose encoder returns half of the camera's heading in degrees, and 10 x.
        expected = np.rint(30 * (np.arange(36) % 12) / 2)
        np.testing.assert_allclose(view.panorama[row, :, 0], expected)
        np.testing.assert_allclose(view.panorama[row, :, 1], np.rint(10 * position[0]))
        headings, distances = env._places[agent]
        count = len(headings)
        assert view.mask[row].tolist() == [True] * (count + 1) + [False] * (5 - count)
        np.testing.assert_allclose(view.distances[row, 1 : count + 1], distances, rtol=1e-6)
        facing = np.rint(30 * (np.round(headings / (np.pi / 6)) % 12) / 2)
        np.testing.assert_allclose(view.candidates[row, 1 : count + 1, 0], facing)
        relative = headings - np.pi / 6 * base
        angles = angle_feature(relative, np.zeros(count), ANGLE)
        np.testing.assert_allclose(view.candidates[row, 1 : count + 1, 3:], angles, atol=1e-6)
        assert not view.candidates[row, 0].any()


def test_views_are_drawn_once_for_each_place(make_waypoint_env):
    env = make_waypoint_env()
    start(env)
    draws = env._simulator.draws
    assert sum(count for count, _ in draws) == 4 * 36
    env.step(np.array([1, 0, 0, 0]))
    assert sum(count for count, _ in draws) == 5 * 36  # only the first agent has moved on


def test_an_earlier_place_is_recognised(make_waypoint_env):
    env = make_waypoint_env()
    observation, _ = start(env)
    first = observation["viewpoint"][0]
    observation, *_ = env.step(np.array([1, 0, 0, 0]))
    assert observation["viewpoint"][0] != first
    known = env.targets[observation["viewpoint"][0]]
    assert first in known[1:]
    back = int(np.flatnonzero(known[1:] == first)[0]) + 1
    observation, *_ = env.step(np.array([back, 0, 0, 0]))
    assert observation["viewpoint"][0] == first


def test_the_last_decision_is_followed_by_a_stop(make_waypoint_env):
    env = make_waypoint_env()
    start(env)
    for _ in range(MOST_DECISIONS):
        _, _, stopped, truncated, _ = env.step(np.array([1, 1, 1, 0]))
    assert stopped.all()
    assert not truncated.any()
    assert all(measures["steps_taken"] <= 200 for measures in env.metrics())


def test_a_follower_walks(make_waypoint_env, split_of_boxes):
    torch.manual_seed(0)
    config = FollowerConfig(embedding_size=4, hidden_size=8, action_size=4, visit_features=True)
    encoder = InstructionEncoder(len(split_of_boxes.tokenizer), config)
    follower = Follower(encoder, 3, ANGLE, config).eval()

    ids = [episode.instr_id for episode in split_of_boxes.episodes]
    env = make_waypoint_env(3)
    agent = FollowerAgent(follower, env)
    summary = waypoint_walks(env, lambda part: walk(env, agent, part), ids)
    assert summary["episodes"] == 4
    assert 0 <= summary["nDTW"] <= 1


def test_walks_on_the_graph_equal_those_of_an_evaluation(doors_config, doors_env):
    torch.manual_seed(0)
    follower = make_follower(doors_config, doors_env).eval()
    agent = FollowerAgent(follower, DeviceFeatures(doors_env))
    ids = [episode.instr_id for episode in doors_env.episodes]
    expected = evaluate(doors_env, agent).summary()
    summary = graph_walks(doors_env, agent, ids)
    assert summary.pop("episodes") == len(ids)
    for name, value in summary.items():
        assert value == pytest.approx(expected[name]), name


@pytest.mark.parametrize("ablation", ["none", "shuffled"])
def test_continuous_episodes_have_the_instructions_of_the_graph(ablation):
    """An ablation that exchanges instructions exchanges them in both walks."""
    settings = TrainConfig(vision=False, instruction_ablation=ablation)
    env = make_env(settings, "val_seen")
    split = continuous_split(settings, "val_seen", env)
    tokens = {e.instr_id: row for e, row in zip(env.episodes, env.split.tokens, strict=True)}
    assert len(split.episodes) == len(tokens)
    for episode, row in zip(split.episodes, split.tokens, strict=True):
        np.testing.assert_array_equal(row, tokens[episode.instr_id])
    annotated = {e.instr_id: e for e in load_episodes("r2r", "val_seen", world_files("houses"))}
    is_own = [e.instruction == annotated[e.instr_id].instruction for e in split.episodes]
    assert all(is_own) if ablation == "none" else sum(is_own) < len(is_own) / 10


def test_features_of_another_encoder_are_refused(monkeypatch, tmp_path):
    class Other:
        weights_sha256 = "0" * 64

    monkeypatch.setattr("clipnav.encoders.clip.ClipEncoder.load", lambda *_, **__: Other())
    config = WaypointConfig(run=tmp_path, encoder="other")
    with pytest.raises(ValueError, match=r"--encoder other: .* features of another encoder"):
        open_encoder(config, TrainConfig())
    assert open_encoder(config, TrainConfig(vision=False)) is None


def test_splits_are_checked_before_the_first_walk(monkeypatch, tmp_path):
    walked = []
    monkeypatch.setattr(evaluation, "read_agent_config", lambda run: TrainConfig(vision=False))
    monkeypatch.setattr(evaluation, "_evaluate_split", lambda *_: walked.append(1) or {})
    config = WaypointConfig(run=tmp_path, splits=("val_unseen", "val_unsen"))
    with pytest.raises(FileNotFoundError, match="no annotations of split 'val_unsen'"):
        evaluation.evaluate_waypoints(config)
    load = evaluation.load_episodes

    def without_goals(dataset, split, files, language):
        episodes = load(dataset, "val_unseen", files, language)
        return [replace(e, path=e.path[:1]) if split == "test" else e for e in episodes[:3]]

    monkeypatch.setattr(evaluation, "load_episodes", without_goals)
    config = WaypointConfig(run=tmp_path, splits=("val_unseen", "test"))
    with pytest.raises(ValueError, match="--splits test: its goals are not published"):
        evaluation.evaluate_waypoints(config)
    assert not walked


def test_predicted_waypoints_need_a_predictor(tmp_path):
    for changes in ({"waypoints": "predicted"}, {"predictor": tmp_path}):
        with pytest.raises(ValueError, match="give --predictor with --waypoints predicted, and"):
            WaypointConfig(run=tmp_path, **changes)


def test_agents_walk_to_proposed_places(make_waypoint_env):
    env = make_waypoint_env(1)
    asked = []

    def propose(scans, positions, headings):
        asked.append((scans, positions[0], headings[0]))
        return [Places(headings + np.pi / 2, np.array([1.0]))]

    env._propose = propose
    observation, _ = start(env)
    assert observation["action_mask"][0].tolist() == [True, True] + [False] * 4
    env.step(np.array([1]))
    (scans, first, heading), (_, second, _) = asked
    assert scans == [env.episodes[0].scan]
    step = np.array([np.sin(heading + np.pi / 2), np.cos(heading + np.pi / 2), 0.0])
    np.testing.assert_allclose(second, first + step, atol=0.15)


def test_runs_without_floors_are_refused(tmp_path):
    config = WaypointConfig(run=tmp_path)
    with pytest.raises(ValueError, match="has no floors"):
        check_run(config, TrainConfig(world="matterport", data_dir=tmp_path))
    with pytest.raises(ValueError, match="'r4r' has no continuous walks"):
        check_run(config, TrainConfig(dataset="r4r"))
    with pytest.raises(ValueError, match="a run of --agent hamt"):
        check_run(config, HistoryTrainConfig())
