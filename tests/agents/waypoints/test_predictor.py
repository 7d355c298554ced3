"""The waypoint predictor: recorded outputs, pictures, conversion, training and proposals."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from clipnav.agents.transformer.released import load_strictly
from clipnav.agents.waypoints.heat_maps import ANGLES, DISTANCES, MOST_WAYPOINTS
from clipnav.agents.waypoints.predictor import (
    ColourNetwork,
    DdppoDepthNetwork,
    HeatMapNetwork,
    PredictedPlaces,
    WaypointPredictor,
    draw_panoramas,
    load_predictor,
    neighbour_bias,
)
from clipnav.agents.waypoints.predictor_conversion import convert_predictor
from clipnav.agents.waypoints.predictor_training import (
    heat_map_loss,
    predictor_trainer,
    read_viewpoints,
    train_predictor,
)
from clipnav.agents.waypoints.settings import PredictorConfig, PredictorNetworkConfig
from clipnav.envs.continuous.settings import R2R_CE
from clipnav.training.checkpoints import RESULTS
from clipnav.training.optimiser_settings import OptimiserConfig
from tests.agents.waypoints.conftest import GRAPHS, DepthSimulator
from tests.envs.continuous.conftest import BoxSimulator
from tests.habitat_checkpoints import save_checkpoint


@pytest.fixture(scope="module")
def golden(golden_systems):
    """Description and tensors of the original networks."""
    described = json.loads((golden_systems / "waypoint_predictor.json").read_text())
    return described, load_file(golden_systems / "waypoint_predictor.safetensors")


def part(tensors, prefix):
    return {n.removeprefix(prefix): one for n, one in tensors.items() if n.startswith(prefix)}


@pytest.mark.parametrize("variant", ["rgbd", "depth"])
def test_logits_and_gradients_are_the_recorded_ones(golden, variant):
    described, tensors = golden
    sizes, inputs = described["sizes"], part(tensors, f"{variant}.input.")
    network = HeatMapNetwork(
        PredictorNetworkConfig(
            hidden_size=sizes["hidden"], heads=sizes["heads"], feed_forward_size=sizes["ffn"]
        ),
        int(np.prod(sizes["depth"])),
        int(np.prod(sizes["rgb"])) if "rgb" in inputs else None,
    ).eval()
    load_strictly(network, convert_predictor(part(tensors, f"{variant}.weight.")), variant)
    views = [inputs[n].flatten(1).unflatten(0, (-1, 12)) for n in ("depth", "rgb") if n in inputs]
    logits = network(*views)
    torch.testing.assert_close(logits, tensors[f"{variant}.output.logits"], atol=1e-4, rtol=0)
    loss = heat_map_loss(logits, inputs["target"])
    assert loss.item() == pytest.approx(described["variants"][variant]["loss"], rel=1e-5)
    loss.backward()
    recorded = convert_predictor(part(tensors, f"{variant}.gradient."))
    assert recorded.keys() == dict(network.named_parameters()).keys()
    for name, weight in network.named_parameters():
        largest = max(1.0, recorded[name].abs().max().item())
        torch.testing.assert_close(weight.grad, recorded[name], atol=1e-3 * largest, rtol=0)
    mask = tensors[f"{variant}.output.neighbour_mask"]
    assert torch.equal(neighbour_bias() == 0, mask.bool())


@pytest.mark.parametrize("variant", ["rgbd", "depth"])
def test_released_weights_fit_the_published_sizes(golden, variant):
    described = golden[0]["variants"][variant]
    with torch.device("meta"):
        weights = {n: torch.empty(shape) for n, shape in described["full_size_shapes"].items()}
        sizes = PredictorNetworkConfig(hidden_size=768, heads=12, feed_forward_size=3072)
        colours = 2048 * 7 * 7 if variant == "rgbd" else None
        network = HeatMapNetwork(sizes, DdppoDepthNetwork.features, colours)
    shapes = {name: one.shape for name, one in convert_predictor(weights).items()}
    assert shapes == {name: one.shape for name, one in network.state_dict().items()}


def test_views_are_drawn_clockwise_from_the_heading():
    settings = dataclasses.replace(R2R_CE, rgb_size=(2, 2), depth_size=(2, 2))
    heading = np.radians([40.0])
    drawn = draw_panoramas(
        BoxSimulator(settings), settings, ["hall"], np.array([[5.0, 1, 0]]), heading, ["rgb"]
    )
    expected = (40 + 30 * np.arange(12)) % 360 / 2  # colours of the simulator
    np.testing.assert_array_equal(drawn["rgb"][0, :, 0, 0, 0], np.rint(expected))


def test_targets_of_a_viewpoint_are_its_neighbours_before_walls():
    graph, row = GRAPHS["hall"], np.array([0])  # beside (2.6, 0.6) and (1.1, 2.6)
    floor = BoxSimulator(R2R_CE).floor("hall")
    north, east = read_viewpoints(graph, row, np.array([[0, np.pi / 2]]), floor, "intended")
    np.testing.assert_allclose(north.position, [1.1, 0.6, 0])
    for one, first in ((north, 0), (east, 90)):
        peaks = np.argwhere(one.target == 10).tolist()
        assert sorted(peaks) == sorted([[first, 7], [(first + 30) % ANGLES, 5]])
        bins = np.roll(one.open_bins, -first)
        assert bins[[30, 60, 90]].tolist() == [12, 2, 4]  # south 0.6 m, west 1.1 m
        assert not one.target[(first + 60) % ANGLES].any()


def test_a_predictor_learns_its_training_places(predictor_config, waypoint_world):
    sizes = dataclasses.replace(predictor_config.network, hidden_size=64, dropout=0.0)
    config = dataclasses.replace(
        predictor_config,
        panoramas=1,
        iterations=80,
        evaluate_every=80,
        batch_size=11,
        network=sizes,
        optimiser=OptimiserConfig(learning_rate=3e-3),
    )
    trainer, learner = predictor_trainer(config)
    trainer.train()
    trainer.close()
    learned, others = learner.score("train"), learner.compare("train")
    assert learned["score"] > 5 * others["chance"]["score"]
    assert learned["distance"] < others["chance"]["distance"] / 2


def test_a_run_is_compared_and_its_predictor_is_loaded(predictor_config, waypoint_world, capsys):
    results = train_predictor(predictor_config)
    assert json.loads((predictor_config.output / RESULTS).read_text())["results"] == results
    for split in ("val_seen", "val_unseen"):
        assert list(results[split]) == ["predicted", "floor", "chance", "target"]
        assert results[split]["target"]["distance"] < 0.25
        assert results[split]["floor"]["open"] > 0.9
    assert " - " not in capsys.readouterr().out
    predictor = load_predictor(predictor_config.output)
    propose = PredictedPlaces(predictor, DepthSimulator(predictor.cameras))
    positions, headings = np.array([[5.0, 1, 0], [1, 1, 0]]), np.array([0.0, 6.0])
    places = propose(["hall", "corner"], positions, headings)
    for headings, distances in places:
        assert 1 <= len(headings) <= MOST_WAYPOINTS
        assert ((headings >= 0) & (headings < 2 * np.pi)).all()
        assert ((distances >= 0.25) & (distances <= 3.0)).all()


def test_places_are_clockwise_from_the_agents_heading():
    def heat_map(depth, colours):
        maps = torch.full((len(depth), ANGLES, DISTANCES), -200.0)
        maps[:, 10, 7] = 0.0  # 30 degrees to the right, 2 m
        return maps

    predictor = WaypointPredictor(PredictorConfig(depth_pixels=16))
    predictor.heat_map.forward = heat_map
    propose = PredictedPlaces(predictor, BoxSimulator(predictor.cameras))
    places = propose(["hall"] * 2, np.array([[5.0, 1, 0]] * 2), np.radians([0.0, 350]))
    for (headings, distances), expected in zip(places, (30, 20), strict=True):
        np.testing.assert_allclose(np.degrees(headings), [expected])
        np.testing.assert_allclose(distances, [2.0])


RELEASED = "module.waypoint_TRM.bert.encoder.layer.0"


def released_predictor(network):
    """Return a network's weights under the published names, with two that are not used."""
    names = {
        r"layers.0.attention.output.": f"{RELEASED}.attention.output.dense.",
        r"layers.0.attention.norm.": f"{RELEASED}.attention.output.LayerNorm.",
        r"layers.0.attention.": f"{RELEASED}.attention.self.",
        r"layers.0.feed_forward.inner.": f"{RELEASED}.intermediate.dense.",
        r"layers.0.feed_forward.outer.": f"{RELEASED}.output.dense.",
        r"layers.0.feed_forward.norm.": f"{RELEASED}.output.LayerNorm.",
        r"depth.": "module.visual_fc_depth.1.",
        r"rgb.": "module.visual_fc_rgb.1.",
        r"merge.": "module.visual_merge.0.",
        r"inner.": "module.vis_classifier.0.",
        r"outer.": "module.vis_classifier.2.",
    }
    weights = {}
    for name, one in network.state_dict().items():
        ours, theirs = next(pair for pair in names.items() if name.startswith(pair[0]))
        weights[theirs + name.removeprefix(ours)] = one
    if network.rgb is None:
        weights["module.visual_merge.0.bias"] = torch.zeros(3)
        weights["module.mergefeats_LayerNorm.bias"] = torch.zeros(3)
    return {"predictor": {"epoch": 3, "state_dict": weights, "optimizer": {"state": {}}}}


@pytest.fixture
def ddppo(tmp_path):
    """Depth network, and a checkpoint of an agent of DD-PPO with it."""
    network, path = DdppoDepthNetwork(), tmp_path / "gibson.pth"
    prefix = "actor_critic.net.visual_encoder."
    weights = {prefix + name: one for name, one in network.state_dict().items()}
    weights["actor_critic.net.visual_fc.1.bias"] = torch.zeros(3)
    save_checkpoint(path, weights, {"RL": {"PPO": {}}}, old_format=True, extra_state={"step": 1})
    return network, path


@pytest.mark.parametrize("reads_colour", [False, pytest.param(True, marks=pytest.mark.long)])
def test_a_released_checkpoint_becomes_a_run(reads_colour, ddppo, run_command, tmp_path):
    torch.manual_seed(0)
    sizes = PredictorNetworkConfig(hidden_size=8, heads=2, feed_forward_size=8, layers=1)
    network = HeatMapNetwork(sizes, 2048, 2048 * 7 * 7 if reads_colour else None).eval()
    torch.save(released_predictor(network), tmp_path / "check_cwp")
    depth = torch.rand(1, 12, 256, 256)
    inputs, features, colour_files = [depth], [ddppo[0](depth)], ()
    if reads_colour:
        colours, rgb = ColourNetwork().eval(), torch.randint(0, 255, (1, 12, 224, 224, 3))
        inputs.append(rgb.byte())
        features.append(colours(rgb.byte()))
        old = {n: one for n, one in colours.state_dict().items() if not n.endswith("_tracked")}
        torch.save(old | {"fc.weight": torch.zeros(3)}, tmp_path / "resnet50.pth")
        colour_files = ("--rgb-weights", tmp_path / "resnet50.pth")
    words = ("convert-waypoint-predictor", "--weights", tmp_path / "check_cwp", "--heads", "2")
    words = (*words, "--depth-weights", ddppo[1], "--output", tmp_path / "run")
    if reads_colour:
        with pytest.raises(ValueError, match="check_cwp: reads colour; give --rgb-weights"):
            run_command(*words)
    run_command(*words, *colour_files)
    predictor = load_predictor(tmp_path / "run")
    assert predictor.config.suppression == "published"
    with torch.no_grad():
        torch.testing.assert_close(predictor(*inputs), network(*features))


@pytest.mark.long
def test_depth_weights_are_loaded_and_kept(ddppo, predictor_config, waypoint_world):
    config = dataclasses.replace(predictor_config, depth_weights=ddppo[1], panoramas=1)
    trainer, learner = predictor_trainer(dataclasses.replace(config, iterations=1))
    assert learner.splits["train"].depth.shape[1:] == (12, 2048)
    trainer.train()
    trainer.close()
    for name, one in load_predictor(config.output).depth_network.state_dict().items():
        assert torch.equal(one, ddppo[0].state_dict()[name])
