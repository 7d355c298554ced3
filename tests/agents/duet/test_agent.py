"""The agent with a map in the vector environment, against rollouts of DUET's own agent."""

import dataclasses

import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode

from clipnav.agents.duet.agent import MapAgent, greedy
from clipnav.agents.duet.conversion import convert_duet
from clipnav.agents.duet.memory import WorldFeatures
from clipnav.agents.duet.model import MapTransformer
from clipnav.agents.duet.settings import MapTransformerConfig
from clipnav.agents.maps.experts import STOP_TOKEN, Expert
from clipnav.agents.transformer.released import load_strictly
from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.splits import LoadedSplit
from clipnav.envs.navigation.settings import EnvSettings
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers.tokenizers import WordTokenizer

# Names of DUET's scorer, and ours.
METRICS = {
    "nav_error": "nav_error",
    "oracle_error": "oracle_error",
    "trajectory_lengths": "trajectory_length",
    "success": "success",
    "oracle_success": "oracle_success",
    "spl": "spl_reference",
    "nDTW": "ndtw",
    "SDTW": "sdtw",
    "CLS": "cls",
}


def tiny_config(golden):
    return MapTransformerConfig(
        hidden_size=golden["hidden_size"],
        heads=golden["num_attention_heads"],
        feed_forward_size=golden["intermediate_size"],
        text_layers=golden["num_l_layers"],
        panorama_layers=golden["num_pano_layers"],
        cross_layers=golden["num_x_layers"],
        max_text_length=golden["max_position_embeddings"],
        max_steps=golden["max_action_steps"],
    )


class Recording:
    """A golden rollout with the environment, the network and the features to repeat it."""

    def __init__(self, name, golden, geometry_of, steps=200):
        json, tensors = golden(f"{name}.json"), golden(f"{name}.safetensors")
        geometry = geometry_of(*sorted({item["scan"] for item in json["items"]}))
        world = geometry.world
        size = json["config"]["image_feat_size"]
        features = torch.zeros(len(world), 36, size)
        for node, viewpoint in enumerate(world.viewpoint_ids):
            if f"features.{viewpoint}" in tensors:
                features[node] = tensors[f"features.{viewpoint}"]
        config = json["config"]
        model = MapTransformer(tiny_config(config), config["vocab_size"], size).eval()
        load_strictly(model, convert_duet(golden("duet_weights.safetensors")), "golden")
        self.set_up(json, WorldFeatures(geometry, features), model, steps)

    def set_up(self, json, features, model, steps=200):
        items = json["items"]
        self.json, self.features, self.model = json, features, model
        self.geometry = features.geometry
        self.ids = [item["instr_id"] for item in items]
        self.env = make_env(self.geometry.world, items, steps)
        self.tokens = np.zeros((len(items), max(len(i["instr_encoding"]) for i in items)), np.int64)
        for row, item in enumerate(items):
            self.tokens[row, : len(item["instr_encoding"])] = item["instr_encoding"]

    def agent(self, **options):
        return GoldenAgent(self, **options)

    def paths(self):
        """Return the golden paths with every viewpoint that was passed."""
        return [
            [viewpoint for hop in t["path"] for viewpoint in hop] for t in self.json["trajectories"]
        ]

    def live_steps(self, row):
        return [step for step in self.json["steps"] if not step["ended"][row]]

    def ends_by_sampled_stop(self, row):
        """Return whether a sampled [stop] away from the goal ended the training walk of a row."""
        steps = self.live_steps(row)
        at_goal = steps[-1]["obs"][row]["viewpoint"] == self.json["items"][row]["path"][-1]
        at_limit = len(steps) == self.json["max_action_len"]
        is_forced = at_goal or at_limit or steps[-1]["no_vp_left"][row]
        return self.json["feedback"] == "sample" and not is_forced

    def assert_metrics(self, ours, row):
        """Compare the scores of a row with those of the original scorer."""
        for theirs, name in METRICS.items():
            expected = self.json["metrics"][row][theirs]
            assert ours[name][row] == pytest.approx(expected, abs=1e-5), theirs


class GoldenAgent(MapAgent):
    """Agent that reads the tokens of a recording."""

    def __init__(self, recording, **options):
        super().__init__(
            recording.model, recording.features, recording.json["max_action_len"], **options
        )
        self.tokens = recording.tokens

    def begin(self, observation, info, live):
        super().begin({**observation, "instruction": self.tokens}, info, live)

    def choose(self, observation, rows):
        """Leave the object out, as the environment of a recording has none."""
        return super().choose(observation, rows)._replace(objects=None)


def make_env(world, items, steps):
    episodes = [
        Episode(
            instr_id=item["instr_id"],
            path_id=item["path_id"],
            scan=item["scan"],
            path=tuple(item["path"]),
            heading=item["heading"],
            instruction="Go.",
            language="en",
        )
        for item in items
    ]
    words = WordTokenizer.build(["go"], 1)
    split = LoadedSplit("r2r", "train", None, episodes, words, world, None, 8)
    settings = EnvSettings(observe="indices", max_episode_steps=steps)
    return VlnVectorEnv(split, len(items), settings, AutoresetMode.DISABLED)


def golden_actions(recording):
    """Policy that repeats the decisions of a golden rollout."""
    steps = iter(range(len(recording.json["steps"])))

    def policy(maps, state, scores, labels):
        number = next(steps)
        step = recording.json["steps"][number]
        chosen = []
        for row in state.rows:
            later = recording.json["steps"][number + 1 :][:1]
            if not later or later[0]["ended"][row]:
                chosen.append(0)
            else:
                chosen.append(step["gmap_vpids"][row].index(later[0]["obs"][row]["viewpoint"]))
        return np.array(chosen)

    return policy


def test_greedy_walks_and_scores_equal_the_original(golden, geometry_of):
    recording = Recording("duet_argmax", golden, geometry_of)
    with torch.inference_mode():
        walk = recording.agent().walk(recording.env, recording.ids)
    assert recording.env.paths() == recording.paths()
    for row in range(len(recording.ids)):
        recording.assert_metrics(recording.env.metrics(), row)
    assert not walk.truncated.size
    live = [len(decision.rows) for decision in walk.decisions]
    assert live == [sum(not ended for ended in s["ended"]) for s in recording.json["steps"]]


@pytest.mark.parametrize("name", ["duet_teacher", "duet_sample"])
def test_given_decisions_lead_to_the_original_paths(name, golden, geometry_of):
    recording = Recording(name, golden, geometry_of)
    paths, metrics = {}, {}
    for walks_back in (False, True):
        agent = recording.agent(policy=golden_actions(recording), stops_at_best=walks_back)
        with torch.inference_mode():
            agent.walk(recording.env, recording.ids)
        paths[walks_back], metrics[walks_back] = recording.env.paths(), recording.env.metrics()
    # Our training walks never end with the walk to the best stop; DUET's lack it, too, where [stop]
    # was sampled away from the goal.
    for row, expected in enumerate(recording.paths()):
        assert paths[False][row] == recording.live_steps(row)[-1]["walked"][row]
        walks_back = not recording.ends_by_sampled_stop(row)
        assert paths[walks_back][row] == expected
        recording.assert_metrics(metrics[walks_back], row)


def test_an_episode_alone_walks_as_in_a_batch(golden, geometry_of):
    recording = Recording("duet_argmax", golden, geometry_of)
    expected = recording.paths()
    for row, name in enumerate(recording.ids):
        agent = recording.agent()
        agent.tokens = recording.tokens[[row] * 2]
        with torch.inference_mode():
            agent.walk(recording.env, [name])
        assert recording.env.paths()[0] == expected[row]


def test_the_hop_limit_of_the_environment_truncates(golden, geometry_of):
    recording = Recording("duet_argmax", golden, geometry_of, steps=4)
    with torch.inference_mode():
        walk = recording.agent().walk(recording.env, recording.ids)
    path = recording.env.paths()[walk.truncated[0]]
    assert len(path) == 5
    assert path == recording.paths()[walk.truncated[0]][:5]


def test_candidates_only_and_fixed_fusion_give_finite_scores(golden, geometry_of):
    recording = Recording("duet_argmax", golden, geometry_of)
    for changes in (
        {"local_candidates_only": True},
        {"fusion": "average"},
        {"fusion": "global"},
        {"fusion": "local"},
        {"revisits": True},
    ):
        recording.model.config = dataclasses.replace(recording.model.config, **changes)
        with torch.inference_mode():
            walk = recording.agent().walk(recording.env, recording.ids)
        for decision in walk.decisions:
            allowed = decision.state.tokens.mask & ~decision.state.forbidden
            finite = torch.isfinite(decision.scores.decision).numpy()
            np.testing.assert_array_equal(finite, allowed)


@pytest.mark.parametrize("kind", ["spl", "ndtw"])
def test_the_expert_labels_every_state_as_in_the_original(kind, golden, geometry_of):
    recording = Recording("duet_argmax", golden, geometry_of)
    world, items = recording.geometry.world, recording.json["items"]
    paths = [[world.node(item["scan"], v) for v in item["path"]] for item in items]
    longest = max(map(len, paths))
    padded = np.array([path + path[-1:] * (longest - len(path)) for path in paths])
    expert = Expert(world, padded, np.array([len(path) for path in paths]), kind)
    costs = []

    def policy(maps, state, scores, labels):
        costs.append(expert.costs(maps, state.rows, state.tokens))
        return greedy(maps, state, scores, labels)

    with torch.inference_mode():
        agent = recording.agent(expert=expert, policy=policy)
        walk = agent.walk(recording.env, recording.ids)
    for decision, cost, step in zip(walk.decisions, costs, recording.json["steps"], strict=True):
        for number, row in enumerate(decision.rows):
            ours, theirs = decision.labels[number], step[kind][row]
            path = items[row]["path"]
            if theirs == STOP_TOKEN and kind == "ndtw" and path[-1] in path[:-1]:
                continue  # the original stops at the first visit of the goal, ours follows the path
            if ours != theirs:  # equally good nodes
                assert cost[number, theirs] == pytest.approx(cost[number].min(), abs=1e-9)


def test_impossible_choices_of_a_policy_are_refused(golden, geometry_of):
    recording = Recording("duet_argmax", golden, geometry_of)
    # Token 1 is the current viewpoint.
    agent = recording.agent(policy=lambda maps, state, *_: np.ones(len(state.rows), int))
    with pytest.raises(ValueError, match="the policy chose map token 1"):
        agent.walk(recording.env, recording.ids)
