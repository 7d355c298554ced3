import dataclasses
import heapq
import itertools

import numpy as np
import pytest
import torch

from clipnav.agents.acting.environments import make_env
from clipnav.agents.acting.evaluation import evaluate
from clipnav.agents.acting.rollout import walk
from clipnav.agents.envdrop.action_scores import ActionScorer
from clipnav.agents.envdrop.learner import make_follower
from clipnav.agents.envdrop.search import Searcher, start_positions
from clipnav.agents.frontier.agent import FrontierAgent, FrontierScoring
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.envs.navigation.device_features import DeviceFeatures
from tests.agents.crossroads import CHOICES, Chooser, Nodes, make_world


class Walks:
    """Walks of a frontier agent at the crossroads, all from s."""

    def __init__(self, count=1, max_steps=20, metre_cost=0.0, sharpness=1.0, normalised=True):
        self.world = make_world()
        scorer = ActionScorer(Chooser(self.world), Nodes(), self.world)
        scoring = FrontierScoring(metre_cost, sharpness, normalised)
        self.agent = FrontierAgent(scorer, MapGeometry.of(self.world), max_steps, scoring)
        start = self.world.node("scan", "s")
        self.observation = {
            "instruction": np.ones((count, 3), int),
            "viewpoint": np.full(count, start),
            "view": np.zeros(count, int),
        }
        self.live = np.arange(count)
        self.agent.begin(self.observation, {"scan": np.full(count, "scan")}, self.live)

    def step(self):
        """Move each live agent by one action, and return the actions."""
        actions = self.agent.act(self.observation, {}, self.live)
        nodes = self.observation["viewpoint"].copy()
        nodes[self.live] = self.world.targets[nodes[self.live], actions]
        self.observation = {**self.observation, "viewpoint": nodes}
        self.live = self.live[actions > 0]
        return actions

    def path(self):
        """Walk the first agent to its end and return the names of its viewpoints."""
        names = [self.world.viewpoint_ids[self.observation["viewpoint"][0]]]
        while self.step()[0]:
            names.append(self.world.viewpoint_ids[self.observation["viewpoint"][0]])
        return "".join(names)


def test_it_turns_back_to_a_more_probable_viewpoint():
    # At a, c has 0.6 * 0.4, stopping 0.6 * 0.3, and b, two edges back, 0.4; then d has 0.32.
    assert Walks().path() == "sasbd"


def test_walking_costs():
    # c is 2 m away, b 4 m: 0.24 / e^0.6 is more than 0.4 / e^1.2, but less than stopping at a.
    assert Walks(metre_cost=0.3).path() == "sa"


def test_it_returns_to_the_best_visited_viewpoint_to_stop(monkeypatch):
    # Stopping at a has 0.6 * 0.62, less than going to b; then b and d prove worse than that.
    monkeypatch.setitem(CHOICES, "a", {"stop": 0.62, "s": 0.2, "c": 0.18})
    monkeypatch.setitem(CHOICES, "b", {"stop": 0.1, "s": 0.8, "d": 0.1})
    assert Walks().path() == "sasbsa"


def test_the_step_limit_leaves_room_for_stop(monkeypatch):
    # b is two edges away from a: with stop, the walk has five actions after s.
    monkeypatch.setitem(CHOICES, "b", {"stop": 0.9, "s": 0.05, "d": 0.05})
    assert Walks(max_steps=4).path() == "sasb"
    assert Walks(max_steps=3).path() == "sac"
    assert Walks(max_steps=2).path() == "sa"
    assert Walks(max_steps=1).path() == "s"


def test_sharpness_scales_the_logits():
    # Probabilities 0.6 of a and 0.4 of b, squared and normalised. b is the first candidate.
    walks = Walks(sharpness=2.0)
    walks.step()
    probabilities = walks.agent.explain()["probabilities"][0]
    assert probabilities[1:] == pytest.approx([4 / 13, 9 / 13])


def test_ways_without_normalisation_have_the_sum_of_their_logits(monkeypatch):
    # Twice the chances of all actions at b change no probability, but the sum of logits: at a,
    # stopping has 0.18, c 0.24 and b 0.4; then at b, stopping 0.08 and d 0.64.
    monkeypatch.setitem(CHOICES, "b", {name: 2 * p for name, p in CHOICES["b"].items()})
    walks = Walks(normalised=False)
    for _ in range(3):
        walks.step()
    walks.step()
    scores = walks.agent.options.scores[0].exp()
    names = [walks.world.viewpoint_ids[n] for n in walks.agent._maps.nodes[0, : len(scores)]]
    chances = dict(zip(names, scores.tolist(), strict=True))
    assert chances == pytest.approx({"s": 0, "a": 0.18, "b": 0.08, "c": 0.24, "d": 0.64})


def test_the_choice_is_explained_where_it_is_made():
    walks = Walks()
    walks.step()
    why = walks.agent.explain()
    known = why["known_map"][0]
    assert [node["viewpoint"] for node in known["nodes"]] == ["s", "b", "a"]
    assert [node["visited"] for node in known["nodes"]] == [True, False, False]
    assert [node["probability"] for node in known["nodes"]] == pytest.approx([0.0, 0.4, 0.6])
    assert (known["target"], known["ends"], known["gate"]) == ("a", False, None)
    walks.step()  # from a towards b, over s
    assert walks.agent.explain()["known_map"][0]["target"] == "b"
    walks.step()  # on the way
    assert walks.agent.explain() == {}


def viewpoint_search(searcher):
    """Return the nodes of a best-first search that expands each node once, and its last node."""
    frontier, visited, number = [(0.0, 0, searcher.starts[0], False)], [], itertools.count(1)
    while True:
        _, _, partial, ends = heapq.heappop(frontier)
        node = partial.positions[-1].node
        if ends:
            return visited, node
        if node in visited:
            continue
        visited.append(node)
        ((partial, log_probs),) = searcher.expand([partial])
        stop = partial.log_prob + float(log_probs[0])
        heapq.heappush(frontier, (-stop, next(number), partial, True))
        for log_prob, action, position in searcher.moves(partial, log_probs):
            moved = partial.extended(log_prob, action, position)
            heapq.heappush(frontier, (-log_prob, next(number), moved, False))


def test_without_a_cost_it_walks_as_a_best_first_search_over_viewpoints(doors_config, doors_env):
    torch.manual_seed(0)
    settings = dataclasses.replace(doors_config.follower, visit_features=True)
    follower = make_follower(dataclasses.replace(doors_config, follower=settings), doors_env).eval()
    features, world = DeviceFeatures(doors_env), doors_env.nav_world
    ids = [episode.instr_id for episode in doors_env.episodes[:16]]
    observation, _ = doors_env.reset(options={"episode_ids": ids})
    starts = start_positions(observation)
    with torch.inference_mode():
        tokens = observation["instruction"]
        results = [
            viewpoint_search(Searcher(follower, features, world, tokens[row : row + 1], [start]))
            for row, start in enumerate(starts)
        ]
        agent = FrontierAgent(
            ActionScorer(follower, features, world),
            MapGeometry.of(world),
            20,
            FrontierScoring(metre_cost=0.0),
        )
        walk(doors_env, agent, ids)
    ends = [path[-1] for path in doors_env.paths()]
    assert ends == [world.viewpoint_ids[last] for _, last in results]
    visited = [list(dict.fromkeys(path)) for path in doors_env.paths()]
    expanded = [[world.viewpoint_ids[node] for node in nodes] for nodes, _ in results]
    assert visited == expanded
    assert any(len(path) > 2 for path in visited)


def test_instructions_can_be_left_out(doors_config, monkeypatch):
    env = make_env(doors_config, "val_unseen")
    follower = make_follower(doors_config, env).eval()
    read = []
    encode = follower.encoder.forward
    monkeypatch.setattr(
        follower.encoder, "forward", lambda tokens: read.append(tokens.shape[1]) or encode(tokens)
    )
    scorer = ActionScorer(follower, DeviceFeatures(env), env.nav_world)
    for reads in (True, False):
        agent = FrontierAgent(
            scorer,
            MapGeometry.of(env.nav_world),
            20,
            FrontierScoring(metre_cost=0.2),
            use_instructions=reads,
        )
        evaluate(env, agent)
    assert read[-1] == 2
    assert read[0] > 2
