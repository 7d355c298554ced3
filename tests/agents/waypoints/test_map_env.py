"""Map agents in continuous episodes: nodes, panorama tokens, walking back, and the command."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from clipnav.agents.duet.agent import MapAgent, map_features
from clipnav.agents.duet.memory import WorldFeatures
from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.settings import MapTrainConfig, MapTransformerConfig
from clipnav.agents.envdrop.follower import Follower
from clipnav.agents.envdrop.settings import FollowerConfig
from clipnav.agents.frontier.agent import FrontierScoring
from clipnav.agents.layers.encoders import InstructionEncoder
from clipnav.agents.maps.topological_maps import START
from clipnav.agents.waypoints import evaluation
from clipnav.agents.waypoints.env import (
    MOST_PLACES,
    FloorPlaces,
    Places,
    WaypointEnv,
    camera_settings,
)
from clipnav.agents.waypoints.evaluation import (
    evaluate_waypoints,
    frontier_agent_among_places,
    map_agent_among_places,
)
from clipnav.agents.waypoints.map_env import SAME_PLACE, MapWaypointEnv, WaypointMaps
from clipnav.agents.waypoints.settings import WaypointConfig
from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor
from clipnav.envs.continuous.settings import task_settings
from tests.agents.waypoints.test_env import PoseEncoder
from tests.envs.continuous.conftest import BoxSimulator

SIZES = MapTransformerConfig(
    hidden_size=16,
    heads=2,
    feed_forward_size=16,
    text_layers=1,
    panorama_layers=1,
    cross_layers=1,
    max_text_length=100,
)
STOP_TOKEN = 0


@pytest.fixture
def make_map_env(split_of_boxes):
    def build(num_envs=4, **changes):
        task = task_settings("r2r", **changes)
        simulator = BoxSimulator(camera_settings(task, (4, 4)))
        places = FloorPlaces(simulator)
        return MapWaypointEnv(
            split_of_boxes, simulator, task, PoseEncoder(), num_envs, 4, places, 15
        )

    return build


@pytest.fixture
def model(split_of_boxes):
    torch.manual_seed(0)
    return MapTransformer(SIZES, len(split_of_boxes.tokenizer), 3).eval()


def ids_of(env):
    return [episode.instr_id for episode in env.episodes[: env.num_envs]]


def agent_in(env, model, **options):
    return MapAgent(model, WorldFeatures(env.maps.geometry, env.maps.features), **options)


def trace_length(env, agent=0):
    positions = np.array(env._envs[agent].traces()[0].positions)
    return np.linalg.norm(np.diff(positions, axis=0), axis=1).sum()


def test_places_near_each_other_are_one_node_unless_a_wall_is_between():
    floor = ContinuousFloor.of_boxes([(0, 0, 2, 4), (2.3, 0, 4, 4)])
    maps = WaypointMaps(2, 8, MOST_PLACES, 0)
    first = maps.find(1, np.array([1.7, 2.0, 0.0]), floor)
    assert maps.find(1, np.array([1.7, 2.0 + SAME_PLACE - 0.01, 0.0]), floor) == first
    farther = maps.find(1, np.array([1.7, 2.0 + SAME_PLACE + 0.01, 0.0]), floor)
    behind = maps.find(1, np.array([2.6, 2.0, 0.0]) - [0.2, 0.0, 0.0], floor)
    other = maps.find(0, np.array([1.7, 2.0, 0.0]), floor)
    assert len({first, farther, behind, other}) == 4
    assert other < 8 <= min(first, farther, behind)
    # Of two nodes within 0.5 m the nearer one is meant.
    assert maps.find(1, np.array([1.7, 2.3, 0.0]), floor) == farther
    maps.clear()
    assert maps.find(1, np.array([1.7, 2.3, 0.0]), floor) == first


def test_tokens_of_a_panorama_are_those_of_a_graph(doors_env):
    expected = map_features(doors_env, "cpu").geometry
    floor = ContinuousFloor.of_boxes([(-9, -9, 9, 9)])
    for start in range(5):  # a centre with four doors, and four doors with one neighbour
        count = expected.candidate_counts[start]
        headings = expected.token_headings[start, :count]
        distances = expected.edge_lengths[start, :count]
        maps = WaypointMaps(1, 8, expected.candidates.shape[1], 0)
        here = expected.positions[start]
        ways = np.stack([np.sin(headings), np.cos(headings), np.zeros(count)], axis=1)
        node = maps.find(0, here, floor)
        around = [maps.find(0, here + d * w, floor) for d, w in zip(distances, ways, strict=True)]
        maps.visit(node, here, headings, distances, around)
        shown = maps.geometry
        for name in ("token_counts", "token_views", "token_headings", "token_elevations"):
            np.testing.assert_allclose(getattr(shown, name)[node], getattr(expected, name)[start])
        np.testing.assert_allclose(shown.edge_lengths[node], expected.edge_lengths[start])
        np.testing.assert_allclose(
            shown.positions[around],
            expected.positions[expected.candidates[start, :count]],
            atol=1e-9,
        )


def test_places_that_are_seen_again_keep_their_nodes(make_map_env):
    env = make_map_env(1)
    env.reset(options={"episode_ids": ids_of(env)})  # (1, 1) in a hall of 10 m x 3 m
    start = int(env._ids[0])
    first = env.maps.geometry.candidates[start]
    aim = first[first >= 0][0]
    env.follow(np.array([[aim]]), np.array([False]))
    assert env._ids[0] == aim
    second = env.maps.geometry.candidates[aim]
    assert start in second
    assert len(set(second[second >= 0])) == (second >= 0).sum()
    positions = env.maps.geometry.positions[[*first[first >= 0], *second[second >= 0]]]
    away = np.linalg.norm(positions[:, None] - positions, axis=2)
    assert ((away == 0) | (away >= SAME_PLACE)).all()


def test_an_agent_that_an_obstacle_stops_is_where_it_is(make_map_env, monkeypatch):
    env = make_map_env(1)
    env.reset(options={"episode_ids": ids_of(env)})
    start = int(env._ids[0])
    aim = int(env.maps.geometry.candidates[start, 0])
    with monkeypatch.context() as context:
        context.setattr(env, "_walk", lambda agent, action: None)
        env.follow(np.array([[aim]]), np.array([False]))
    assert env._ids[0] == start
    assert not env.maps.visited[aim]
    env.follow(np.array([[aim]]), np.array([False]))  # now by the follower on the floor
    assert env._ids[0] == aim
    assert env.maps.visited[aim]


class Scripted:
    """Policy that chooses the k-th place around the start in turn, and then stops."""

    def __init__(self, ranks):
        self.ranks, self.chosen = list(ranks), []

    def __call__(self, maps, state, scores, labels):
        if not self.ranks:
            return np.full(len(state.rows), STOP_TOKEN)
        node = maps.geometry.candidates[maps.nodes[0, START], self.ranks.pop(0)]
        self.chosen.append(int(node))
        return np.argmax(maps.nodes[0, state.tokens.slots] == node, axis=1)


def test_an_agent_walks_back_and_every_metre_counts(make_map_env, model):
    env = make_map_env(1)
    policy = Scripted([0, 1])
    agent = agent_in(env, model, policy=policy, stops_at_best=False)
    walk = agent.walk(env, ids_of(env))
    assert len(walk.decisions) == 3
    start = np.array(env.episodes[0].start)
    first, second = env.maps.geometry.positions[policy.chosen]
    assert np.linalg.norm(first - second) > 1.0
    positions = np.array(env._envs[0].traces()[0].positions)
    reached = [np.linalg.norm(positions - place, axis=1) for place in (first, second)]
    away, back = reached[0].argmin(), reached[1].argmin()
    assert away < back
    assert max(reached[0].min(), reached[1].min()) < 0.25
    # Between both places the agent was at the start again.
    between = np.linalg.norm(positions[away:back] - start, axis=1)
    assert between.min() < 0.25
    (measures,) = env.metrics()
    assert measures["path_length"] == pytest.approx(trace_length(env))
    straight = np.linalg.norm(first - start)
    shortest = 2 * straight + np.linalg.norm(second - start) - 3 * 0.25
    assert measures["path_length"] > shortest
    assert measures["steps_taken"] == len(positions) - 1


@pytest.mark.parametrize("best", [True, False])
def test_an_agent_stops_where_stopping_was_most_probable(make_map_env, model, best):
    env = make_map_env(1)
    agent = agent_in(env, model, policy=Scripted([0, 1]), stops_at_best=best)
    agent.walk(env, ids_of(env))
    slots = agent._stop_probabilities[0]
    slot = slots.argmax() if best else agent._maps.current[0]
    wanted = env.maps.geometry.positions[agent._maps.nodes[0, slot]]
    end = env._envs[0].traces()[0].positions[-1]
    assert np.linalg.norm(end - wanted) < 0.25
    assert env._ended.all()


def test_a_walk_back_is_cut_at_the_step_limit(make_map_env, model):
    env = make_map_env(1, max_episode_steps=20)
    agent = agent_in(env, model, policy=Scripted([0, 1]), stops_at_best=False)
    agent.walk(env, ids_of(env))
    (measures,) = env.metrics()
    assert measures["steps_taken"] == 20
    assert not measures["success"]


def test_a_random_map_agent_walks_all_episodes(make_map_env, model):
    rng = np.random.default_rng(0)

    def policy(maps, state, scores, labels):
        allowed = state.tokens.mask & ~state.forbidden
        allowed[:, STOP_TOKEN] = False
        return np.array([rng.choice(np.flatnonzero(row)) for row in allowed])

    env = make_map_env(4)
    walk = agent_in(env, model, policy=policy, max_decisions=5).walk(env, ids_of(env))
    assert len(walk.decisions) == 5
    assert env._ended.all()
    for agent in range(4):
        assert env.metrics()[agent]["path_length"] == pytest.approx(trace_length(env, agent))


@pytest.fixture
def make_frontier_agent(split_of_boxes):
    """Builds a frontier agent with random weights for an environment of places."""
    torch.manual_seed(0)
    config = FollowerConfig(embedding_size=4, hidden_size=8, action_size=4, visit_features=True)
    encoder = InstructionEncoder(len(split_of_boxes.tokenizer), config)
    graph_agent = SimpleNamespace(
        follower=Follower(encoder, 3, 4, config).eval(),
        max_steps=15,
        scoring=FrontierScoring(metre_cost=0.1),
    )

    def build(env, policy=None):
        agent = frontier_agent_among_places(graph_agent, env, use_instructions=True)
        if policy is not None:
            agent._policy = policy
        return agent

    return build


def walk_frontier(agent, env):
    with torch.inference_mode():
        return list(agent.segments(env, ids_of(env)))


def test_views_of_a_map_are_those_of_the_agent(make_map_env, split_of_boxes):
    maps, views = make_map_env(4), []
    world = maps._simulator, maps._settings, PoseEncoder(), 4, 4, maps._propose
    for env in (maps, WaypointEnv(split_of_boxes, *world)):
        observation, _ = env.reset(options={"episode_ids": ids_of(env)})
        views.append(env.gather(observation["viewpoint"], observation["view"], 6))
    for one, other in zip(*views, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_frontier_agent_walks_back_to_a_place_that_it_has_seen(make_map_env, make_frontier_agent):
    env, ways = make_map_env(1), []

    def policy(rows, options):
        ways.append(agent._path(0, agent._maps.current[0]))
        return np.array([START + 1, START + 2, START])[len(ways) - 1 :][:1]

    agent = make_frontier_agent(env, policy)
    walk_frontier(agent, env)
    start, first, second = agent._maps.nodes[0, :3].tolist()
    # The way to each place leads from the start, wherever the agent has walked since.
    assert ways == [[start], [start, first], [start, second]]
    places = env.maps.geometry.positions
    positions = np.array(env._envs[0].traces()[0].positions)
    for node in (first, second):
        assert np.linalg.norm(positions - places[node], axis=1).min() < 0.25
    assert np.linalg.norm(positions[-1] - places[start]) < 0.25
    assert env._ended.all()


def test_a_frontier_agent_that_an_obstacle_stops_came_by_the_same_way(
    make_map_env, make_frontier_agent, monkeypatch
):
    # Wherever an agent arrives is then a place that it has not seen.
    monkeypatch.setattr("clipnav.agents.waypoints.map_env.SAME_PLACE", 1e-4)
    env, ways = make_map_env(1), []

    def policy(rows, options):
        here = int(agent._maps.current[0])
        ways.append(agent._path(0, here))
        if len(ways) == 3:
            return np.array([here])
        unseen = ~options.visited & torch.isfinite(options.scores).numpy()
        return np.flatnonzero(unseen[0])[-1:]  # the last one seen is beside the agent

    walk_frontier(agent := make_frontier_agent(env, policy), env)
    start, first, second = ways
    assert len(start) == 1
    assert first[:-1] == start
    assert second[:-1] == first
    assert agent._origins[0, agent._maps.current[0]] == 2  # read after the second decision


def test_a_random_frontier_agent_walks_all_episodes(make_map_env, make_frontier_agent):
    env = make_map_env(4)
    segments = walk_frontier(make_frontier_agent(env), env)
    assert env._ended.all()
    assert any((env.maps.visited.reshape(4, -1).sum(1)) > 1)
    hops = np.zeros(4)
    for segment in segments:
        hops[segment.rows] += 1
    assert hops.max() <= 15
    for agent in range(4):
        assert env.metrics()[agent]["path_length"] == pytest.approx(trace_length(env, agent))


class Propose:
    """Proposes the same two places, in one view, 1 m and 2 m to the right of an agent."""

    def __call__(self, scans, positions, headings):
        """Return the places around agents."""
        return [Places(one + np.array([1.5, 1.7]), np.array([1.0, 2.0])) for one in headings]


@pytest.mark.parametrize("waypoints", ["floor", "predicted"])
def test_a_run_of_a_map_agent_is_evaluated(
    waypoints, make_map_env, model, split_of_boxes, monkeypatch, tmp_path
):
    graph_agent = agent_in(make_map_env(1), model, max_decisions=4)
    walked = []
    patches = {
        "read_agent_config": lambda run: MapTrainConfig(),
        "open_encoder": lambda config, settings: PoseEncoder(),
        "load_run": lambda run, split, settings: (Graph(split_of_boxes.episodes), graph_agent),
        "graph_walks": lambda env, agent, ids: walked.append((agent, list(ids))) or {"SR": 1.0},
        "load_continuous_split": lambda *names, **options: split_of_boxes,
        "HouseSimulator": BoxSimulator,
        "load_predictor": lambda run: run,
        "PredictedPlaces": lambda run: Propose(),
    }
    for name, value in patches.items():
        monkeypatch.setattr(evaluation, name, value)
    report = tmp_path / "scores.json"
    predictor = tmp_path / "predictor" if waypoints == "predicted" else None
    config = WaypointConfig(
        run=tmp_path, batch_size=3, json=report, waypoints=waypoints, predictor=predictor
    )
    results = evaluate_waypoints(config)["val_unseen"]
    assert walked == [(graph_agent, [episode.instr_id for episode in split_of_boxes.episodes])]
    assert results["graph"] == {"SR": 1.0}
    assert results[f"{waypoints} waypoints"]["episodes"] == 4
    assert json.loads(report.read_text())["results"]["val_unseen"] == results


class Graph:
    """Tokenizer and episodes of an environment on a graph."""

    tokenizer = None

    def __init__(self, episodes):
        self.episodes = episodes


def test_a_map_agent_keeps_its_settings_among_places(make_map_env, model):
    env = make_map_env(1)
    agent = agent_in(env, model, max_decisions=4)
    other = map_agent_among_places(agent, env, False, False)
    assert other.max_decisions == 4
    other.walk(env, ids_of(env))
    end = env._envs[0].traces()[0].positions[-1]
    here = env.maps.geometry.positions[other._maps.nodes[0, other._maps.current[0]]]
    assert np.linalg.norm(end - here) < 0.25
