"""The network and the map against a rollout of ETPNav's own code at a tiny size."""

import gzip
import json
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional

from clipnav.agents.duet.model import PanoramaInputs
from clipnav.agents.etpnav.conversion import convert_etpnav
from clipnav.agents.etpnav.ghost_map import GhostMap
from clipnav.agents.etpnav.network import EtpNavNetwork, node_inputs
from clipnav.agents.etpnav.panoramas import view_tokens
from clipnav.agents.etpnav.settings import EtpNavNetworkConfig, GhostMapConfig
from clipnav.agents.etpnav.teacher import GhostTeacher, sub_goal
from clipnav.agents.transformer.released import load_strictly

OUTPUT, GRADIENT = 1e-4, 1e-3  # tolerances of the golden data


@pytest.fixture(scope="module")
def golden(golden_systems):
    return json.loads((golden_systems / "etpnav_model.json").read_text())


@pytest.fixture(scope="module")
def tensors(golden_systems):
    return load_file(golden_systems / "etpnav_model.safetensors")


@pytest.fixture
def model(golden, tensors):
    sizes = golden["config"]
    config = EtpNavNetworkConfig(
        hidden_size=sizes["hidden_size"],
        heads=sizes["num_attention_heads"],
        feed_forward_size=sizes["intermediate_size"],
        text_layers=sizes["num_l_layers"],
        panorama_layers=sizes["num_pano_layers"],
        cross_layers=sizes["num_x_layers"],
        max_text_length=sizes["max_position_embeddings"],
        max_steps=sizes["max_action_steps"],
        elevation="published",
    )
    network = EtpNavNetwork(
        config, sizes["vocab_size"], sizes["image_feat_size"], sizes["depth_feat_size"]
    )
    prefix = "weight."
    weights = {n.removeprefix(prefix): w for n, w in tensors.items() if n.startswith(prefix)}
    load_strictly(network, convert_etpnav(weights), "etpnav_model")
    return network.eval()


def ours(position):
    """Return a position in the axes of the graphs; the golden one is in habitat's."""
    x, y, z = position
    return np.array([x, -z, y])


def around(position, heading, candidates):
    """Return the angles of golden waypoints and their positions (K, 3)."""
    angles = np.radians([3 * angle for angle, _ in candidates])
    lengths = np.array([quarters / 4 for _, quarters in candidates])
    ways = np.stack([np.sin(heading + angles), np.cos(heading + angles), 0 * angles], axis=1)
    return angles, position + lengths[:, None] * ways


class Rollout:
    """The golden rollout, walked again with our maps and our network."""

    def __init__(self, golden, tensors, model):
        self.steps, self.tensors, self.model = golden["steps"], tensors, model
        episodes = len(golden["instruction_lengths"])
        self.maps = [GhostMap(GhostMapConfig()) for _ in range(episodes)]
        self.panoramas = [torch.zeros(0, golden["config"]["hidden_size"])] * episodes
        self.text = model.read(tensors["language.txt_ids"])
        self.ghosts = [{} for _ in range(episodes)]

    def get(self, number, name):
        return self.tensors[f"step{number}.{name}"]

    def panorama(self, number):
        """Return the inputs of the panorama encoder of a step, with our views and directions."""
        step, directions, types = self.steps[number], [], []
        features = [self.get(number, f"panorama.{name}_fts") for name in ("rgb", "dep")]
        for candidates in step["candidates"]:
            tokens = view_tokens(np.radians([3.0 * angle for angle, _ in candidates]))
            directions.append(torch.from_numpy(tokens.directions))
            types.append(torch.from_numpy(tokens.types))
        lengths = self.get(number, "panorama.view_lens")
        assert [len(one) for one in types] == lengths.tolist()
        mask = torch.arange(features[0].shape[1]) < lengths[:, None]
        pad = torch.nn.utils.rnn.pad_sequence
        return PanoramaInputs(torch.cat(features, 2), pad(directions, True), pad(types, True), mask)

    def visit(self, number):
        """Add a step to the maps and return the map tokens of the live episodes."""
        step, tokens = self.steps[number], []
        inputs = self.panorama(number)
        encoded, _ = self.model.panorama(inputs)
        for row, episode in enumerate(step["episodes"]):
            position, heading = ours(step["positions"][row]), -step["yaws"][row]
            _, candidates = around(position, heading, step["candidates"][row])
            previous = step["previous"][row]
            ghost_map, real = self.maps[episode], encoded[row][inputs.mask[row]]
            ghost_map.visit(
                *(position, None if previous is None else int(previous)),
                *(candidates, candidates, len(real)),
            )
            self.panoramas[episode] = torch.cat([self.panoramas[episode], real])
            tokens.append(ghost_map.tokens(heading, "published"))
            names = [f"g{number}" for number in ghost_map.ghosts]
            assert step["ids"][row] == [None, *map(str, range(len(ghost_map.nodes))), *names]
        return encoded, inputs, tokens

    def leave(self, number):
        step = self.steps[number]
        for row, episode in enumerate(step["episodes"]):
            chosen = step["ids"][row][step["actions"][row]]
            if chosen is not None:
                self.maps[episode].choose(int(chosen[1:]))


def assert_near(found, golden, mask, tolerance=OUTPUT):
    assert torch.equal(torch.isfinite(found)[mask], torch.isfinite(golden)[mask])
    finite = mask & torch.isfinite(golden) if golden.dim() == mask.dim() else mask
    assert (found - golden)[finite].abs().max() <= tolerance


def test_a_rollout_equals_the_original(golden, tensors, model):
    rollout = Rollout(golden, tensors, model)
    states = rollout.text.states
    assert torch.equal(states.mask, tensors["language.txt_masks"].bool())
    assert_near(states.states, tensors["language.out.txt_embeds"], states.mask)
    loss, decisions = torch.zeros(()), 0
    for number, step in enumerate(golden["steps"]):
        encoded, inputs, tokens = rollout.visit(number)
        assert torch.equal(inputs.mask, rollout.get(number, "panorama.out.pano_masks").bool())
        for name, found in (("loc_fts", inputs.directions), ("nav_types", inputs.types)):
            assert_near(found, rollout.get(number, f"panorama.{name}"), inputs.mask)
        assert_near(encoded, rollout.get(number, "panorama.out.pano_embeds"), inputs.mask)
        nodes = node_inputs(tokens, [rollout.panoramas[episode] for episode in step["episodes"]])
        assert torch.equal(nodes.mask, rollout.get(number, "navigation.gmap_masks").bool())
        for name, found in (
            ("step_ids", nodes.steps),
            ("img_fts", nodes.features),
            ("pos_fts", nodes.positions),
            ("pair_dists", nodes.distances),
            ("visited_masks", (nodes.forbidden & nodes.mask).long()),
        ):
            assert_near(found, rollout.get(number, f"navigation.gmap_{name}"), nodes.mask)
        scores = model.score(rollout.text.rows(torch.tensor(step["episodes"])), nodes)
        assert_near(scores, rollout.get(number, "navigation.out.global_logits"), nodes.mask)
        targets = torch.tensor(step["targets"])
        loss = loss + functional.cross_entropy(scores, targets, reduction="sum", ignore_index=-100)
        decisions += len(targets)
        rollout.leave(number)
    loss = loss / decisions
    assert loss.item() == pytest.approx(golden["loss"], abs=OUTPUT)
    loss.backward()
    prefix = "gradient."
    gradients = {n.removeprefix(prefix): g for n, g in tensors.items() if n.startswith(prefix)}
    for name, gradient in convert_etpnav(gradients).items():
        largest = gradient.abs().max()
        bound = GRADIENT * largest if largest >= 0.01 else 1e-5
        assert (model.get_parameter(name).grad - gradient).abs().max() <= bound, name


def test_maps_equal_the_original(golden_systems):
    content = json.loads(gzip.decompress((golden_systems / "etpnav_map.json.gz").read_bytes()))
    for episode in content["episodes"]:
        config = GhostMapConfig(
            episode["loc_noise"], episode["merge_ghost"], not episode["consume_ghost"]
        )
        ghost_map, embeddings, progress = (
            GhostMap(config),
            [],
            dict.fromkeys(("published", "intended"), 0),
        )
        reference = np.array([ours(point) for point in episode["reference"]])
        for step in episode["steps"]:
            position, heading = ours(step["position"]), -step["yaw"]
            angles, candidates = around(position, heading, step["candidates"])
            expected = [ours(one) for one in step["candidate_positions"]]
            np.testing.assert_allclose(candidates, np.reshape(expected, (-1, 3)), atol=1e-5)
            ends = np.array([ours(one) for one in step["real_positions"]]).reshape(-1, 3)
            previous = None if step["previous"] is None else int(step["previous"])
            # A node is the mean of its tokens: here one more, which corrects the mean.
            count = len(angles) + 1
            rest = count * np.array(step["embedding"]) - np.sum(
                np.reshape(step["candidate_embeddings"], (-1, len(step["embedding"]))), axis=0
            )
            embeddings += [*step["candidate_embeddings"], rest.tolist()]
            ghost_map.visit(position, previous, candidates, ends, count)
            check_map(ghost_map, step, heading, np.array(embeddings))
            check_teacher(ghost_map, step, reference, progress)
            stop = step["action"].get("stop_at")
            if stop is not None:
                continue
            walk, _ = ghost_map.choose(int(step["action"]["ghost"][1:]))
            assert walk == [int(node) for node in step["action"]["walk"]]


def check_map(ghost_map, step, heading, embeddings):
    nodes = len(ghost_map.nodes)
    names = [f"g{number}" for number in ghost_map.ghosts]
    assert step["ids"] == [None, *map(str, range(nodes)), *names]
    for name, ghost in zip(names, ghost_map.ghosts.values(), strict=True):
        golden = step["ghosts"][name]
        np.testing.assert_allclose(ghost.position, ours(golden["mean"]), atol=1e-5)
        assert [str(front) for front in ghost.fronts] == golden["fronts"]
        front, distance = ghost_map.front(ghost)
        assert str(front) == golden["nearest_front"]
        assert distance == pytest.approx(golden["front_distance"], abs=1e-5)
    edges = {tuple(sorted(map(int, edge[:2]))): edge[2] for edge in step["edges"]}
    assert ghost_map.edges == pytest.approx(
        {edge: length for edge, length in edges.items() if edge[0] != edge[1]}, abs=1e-5
    )
    tokens = ghost_map.tokens(heading, "published")
    np.testing.assert_allclose(tokens.positions, step["pos_fts"], atol=2e-5)
    if "pair_distances" in step:
        np.testing.assert_allclose(tokens.distances, step["pair_distances"], atol=1e-5)
    assert tokens.steps.tolist() == step["step_ids"]
    assert tokens.visited.astype(int).tolist() == step["visited"]
    golden = [ghost["embedding"] for ghost in step["ghosts"].values()]
    features = tokens.weights @ embeddings
    np.testing.assert_allclose(features[nodes], step["embedding"], atol=1e-5)
    np.testing.assert_allclose(features[1 + nodes :].ravel(), np.ravel(golden), atol=1e-5)


class RecordedFloor:
    """A floor that returns recorded distances in turn, and notes the positions that it is given."""

    def __init__(self, *distances):
        self.distances_left, self.asked = list(distances), []

    def distances(self, positions, goal):
        self.asked.append(positions)
        return np.array(self.distances_left.pop(0))


class Picks:
    """Random numbers that are the recorded choices of sightings."""

    def __init__(self, picks):
        self.picks = list(picks)

    def integers(self, count):
        return self.picks.pop(0)


def check_teacher(ghost_map, step, reference, progress):
    recorded = step["teacher"]
    here = [recorded["current_to_goal"]]
    for kind, own in (("spl", recorded["spl"]), ("ndtw", recorded["ndtw"])):
        walks = [own[n] for n in ("to_reference", "ghost_to_goal", "ghost_to_sub_goal") if n in own]
        floor = RecordedFloor(here, *walks)
        picks: Any = Picks(own.get("picked", []))
        teacher = GhostTeacher(
            *(floor, np.zeros(3), picks), *(reference if kind == "ndtw" else None, "published")
        )
        teacher.progress = progress["published"]
        assert teacher.target(ghost_map) == own["answer"]
        if "picked" in own:
            sightings = zip(ghost_map.ghosts.values(), own["picked"], strict=True)
            ends = [ghost.ends[pick] for ghost, pick in sightings]
            np.testing.assert_array_equal(floor.asked[-1], ends)
    if "to_reference" in recorded["ndtw"]:
        own = recorded["ndtw"]
        progress["published"] = teacher.progress
        assert teacher.progress == own["progress"]
        chosen = sub_goal(np.array(own["to_reference"]), progress["intended"], "intended")
        if own["sub_goal"] is not None:
            assert (teacher.progress, chosen) == (own["sub_goal"], own["sub_goal_without_defect"])
        progress["intended"] = chosen
