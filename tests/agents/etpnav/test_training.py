"""Training, evaluation and conversion of ETPNav in a world of two little buildings."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from clipnav.agents.continuous.evaluation import evaluate_continuous_run
from clipnav.agents.continuous.settings import EvaluateContinuousConfig
from clipnav.agents.continuous.tasks import load_continuous_run
from clipnav.agents.continuous.walking import walk_all
from clipnav.agents.duet.model import MapTransformer, NodeInputs, PanoramaInputs
from clipnav.agents.duet.settings import MapPretrainConfig, MapTransformerConfig
from clipnav.agents.etpnav import panoramas
from clipnav.agents.etpnav.agent import AgentPose, walk_along, walk_ends, walk_to
from clipnav.agents.etpnav.conversion import convert_map_agent, start_from, with_published_settings
from clipnav.agents.etpnav.learner import EtpNavLearner, scheduled
from clipnav.agents.etpnav.network import EtpNavNetwork
from clipnav.agents.etpnav.settings import EtpNavNetworkConfig, GhostMapConfig
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.experiments.training import train
from clipnav.agents.learning.agent_learner import make_agent_trainer
from clipnav.agents.maps.experts import NO_TARGET
from clipnav.agents.waypoints.predictor_training import train_predictor
from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor
from clipnav.envs.continuous.settings import FORWARD, LEFT, R2R_CE, RIGHT, RXR_CE
from clipnav.storage.hugging_face import load_hugging_face_tokenizer
from clipnav.training.checkpoints import MODEL, VOCABULARY, save_model
from clipnav.training.settings import to_json
from tests.agents.etpnav.conftest import PixelEncoder
from tests.agents.original_names import ETPNAV, original_name
from tests.agents.waypoints.conftest import predictor_config, waypoint_world
from tests.habitat_checkpoints import ETPNAV_SETTINGS, save_checkpoint


def sides(number) -> Any:
    """Return random numbers that choose one side."""
    return SimpleNamespace(random=lambda: number)


def perform(walk, pose, settings, floor):
    """Carry out a walk on a floor; return its actions and poses."""
    actions, poses = [], [pose]
    try:
        action = next(walk)
        while True:
            position, heading, _ = poses[-1]
            turn = np.radians(settings.turn_angle) * ((action == RIGHT) - (action == LEFT))
            collided = False
            if action == FORWARD:
                moved, hit = floor.step(
                    position[None], np.array([heading]), settings.step_size, settings.sliding
                )
                position, collided = moved[0], bool(hit[0])
            actions.append(action)
            poses.append(AgentPose(position, heading + turn, collided))
            action = walk.send(poses[-1])
    except StopIteration:
        return actions, poses


def box(*size):
    return ContinuousFloor.of_boxes([(0.0, 0.0, *size)])


@pytest.mark.parametrize(
    ("place", "turns", "steps"),
    [
        ((5.0, 7.1, 0.0), [], 8),
        ((7.1, 5.0, 0.0), [RIGHT] * 6, 8),
        ((2.9, 5.0, 0.0), [LEFT] * 6, 8),
        ((5.0, 2.9, 0.0), [LEFT] * 12, 8),
        ((5.0, 5.2, 0.0), [], 0),
        ((5.0, 5.0, 0.0), [], 0),
        ((5.0, 5.75, 1.0), [], 5),  # the distance of a place includes its height
    ],
)
def test_an_agent_turns_and_steps_straight_to_a_place(place, turns, steps):
    pose = AgentPose(np.array([5.0, 5.0, 0.0]), 0.0, False)
    walk = walk_to(pose, np.array(place), R2R_CE, None)
    actions, _ = perform(walk, pose, R2R_CE, box(10.0, 10.0))
    assert actions == [*turns, *[FORWARD] * steps]


def test_without_a_try_out_the_agent_steps_on_against_the_wall():
    pose = AgentPose(np.array([5.0, 8.0, 0.0]), 0.0, False)
    walk = walk_along(pose, [np.array([5.0, 11.0, 0.0])], RXR_CE, None)
    actions, poses = perform(walk, pose, RXR_CE, box(10.0, 9.0))
    assert actions == [FORWARD] * 12
    assert poses[-1].collided


@pytest.mark.parametrize("settings", [R2R_CE, RXR_CE])
@pytest.mark.parametrize(("number", "sign"), [(0.0, 1), (0.9, -1)])
def test_an_agent_that_no_step_moves_tries_six_directions(settings, number, sign):
    # The six directions of ETPNav, in degrees from the first one.
    expected = [90, 60, 30, -30, -60, -90]
    pose = AgentPose(np.array([1.0, 1.0, 0.0]), 0.0, False)
    walk = walk_to(pose, np.array([1.0, 3.0, 0.0]), settings, sides(number))
    tried, heading = [], 0.0
    try:
        action = next(walk)
        while True:
            heading += settings.turn_angle * ((action == RIGHT) - (action == LEFT))
            if action == FORWARD:
                tried.append(sign * heading)
            action = walk.send(AgentPose(pose.position, np.radians(heading), action == FORWARD))
    except StopIteration:
        pass
    assert tried == [0, *expected]


def test_an_agent_passes_an_obstacle_and_takes_the_remaining_steps():
    # A pillar, 0.4 m wide, in the way to the north; the agent turns to the east.
    boxes = [(0.0, 0.0, 10.0, 5.0), (0.0, 5.0, 4.9, 5.4), (5.1, 5.0, 10.0, 5.4), (0, 5.4, 10, 9)]
    floor = ContinuousFloor.of_boxes(boxes)
    pose = AgentPose(np.array([4.95, 4.6, 0.0]), 0.0, False)
    walk = walk_to(pose, np.array([4.95, 6.6, 0.0]), RXR_CE, sides(0.0))
    actions, poses = perform(walk, pose, RXR_CE, floor)
    first = next(k for k, pose in enumerate(poses) if pose.collided)
    assert actions[first : first + 3] == [RIGHT] * 3
    assert actions[first + 3] == FORWARD
    assert actions[first + 4 : first + 7] == [LEFT] * 3
    # The shortened step is not among those that are done.
    done = sum(action == FORWARD for action in actions[: first - 1])
    assert sum(action == FORWARD for action in actions[first + 7 :]) <= 8 - done
    assert np.isclose(poses[-1].heading, 0.0)


def test_walks_end_at_walls():
    floor, start = box(10.0, 3.0), np.array([1.0, 1.0, 0.0])
    ends = walk_ends(floor, start, np.radians([90.0, 0.0]), np.array([2.1, 3.0]), RXR_CE)
    np.testing.assert_allclose(ends[0], [3.0, 1.0, 0.0], atol=1e-6)
    assert ends[1, 1] == pytest.approx(3.0, abs=0.05)  # a floor of boxes is that of the centre


__all__ = ["predictor_config", "waypoint_world"]  # fixtures

pytestmark = pytest.mark.usefixtures("ghost_world")
SIZES = ("hidden_size", "heads", "feed_forward_size", "text_layers", "panorama_layers")
LIKE_BERT = {"hidden_size": 24, "feed_forward_size": 32, "max_text_length": 90, "max_steps": 20}


def loaded(run) -> Any:
    """Return the task and the agent of a run."""
    return load_continuous_run(run)


@pytest.mark.long
def test_an_agent_learns_four_walks(ghost_config):
    config = replace(ghost_config, batch_size=4, expert_iterations=100, max_decisions=5)
    trainer, _ = make_agent_trainer(EtpNavLearner, config)
    losses = [trainer.step()["loss"] for _ in range(30)]
    trainer.close()
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])


@pytest.mark.parametrize("changes", [{"expert": "ndtw", "tryout": True}, {"vision": False}])
def test_a_run_is_evaluated_and_submitted_as_trained(ghost_config, changes, tmp_path):
    config = replace(ghost_config, iterations=1, **changes)
    results = train(config)
    submission = tmp_path / "predictions.json"
    evaluated = evaluate_continuous_run(
        EvaluateContinuousConfig(
            config.output, ("val_seen",), submission=submission, baselines=False
        )
    )
    name = "ETPNav" if config.vision else "ETPNav (no vision)"
    assert evaluated["val_seen"] == {name: results["val_seen"][name]}
    walks = json.loads(submission.read_text())
    assert len(walks) == 4
    assert all(walk[-1]["stop"] for walk in walks.values())
    with pytest.raises(ValueError, match="ETPNav walks in continuous space; use"):
        load_run(config.output, "val_seen")


def test_an_agent_walks_among_predicted_waypoints(
    ghost_config, predictor_config, waypoint_world, monkeypatch
):
    train_predictor(predictor_config)
    resampled = []
    monkeypatch.setattr(panoramas, "resample", lambda *given: resampled.append(1) or given[1])
    config = replace(
        ghost_config,
        iterations=1,
        evaluate_every=1,
        waypoints="predicted",
        predictor=predictor_config.output,
        output=ghost_config.output.with_name("predicted"),
    )
    plain = replace(config, resampling="none", output=config.output.with_name("plain"))
    trainer, _ = make_agent_trainer(EtpNavLearner, plain)
    trainer.step()
    trainer.close()
    assert not resampled
    train(config)
    assert resampled
    task, walker = loaded(config.output)
    channels = predictor_config.network.depth_channels
    assert walker._network.panorama.depth_size == channels
    resampled.clear()
    walk_all(task.env("val_seen", 1), walker, [0])
    assert not resampled, "evaluation takes the peaks themselves"
    other = replace(predictor_config, seed=1, output=config.output.with_name("other"))
    train_predictor(other)
    shutil.copy(other.output / MODEL, config.predictor / MODEL)
    with pytest.raises(ValueError, match="trained with predictor"):
        load_continuous_run(config.output)


def test_decisions_are_scheduled(ghost_config):
    config = replace(ghost_config, expert_probability=0.75, expert_iterations=3_000)
    chances = [config.teacher_probability(k) for k in (0, 2_999, 3_000, 14_999)]
    np.testing.assert_allclose(chances, [0.75, 0.75, 0.75**2, 0.75**5])
    rng, scores = np.random.default_rng(0), np.array([0.0, -np.inf, np.log(3)])
    drawn = [scheduled(0.5, scores, 0, rng) for _ in range(4_000)]
    np.testing.assert_allclose(np.bincount(drawn) / 4_000, [0.625, 0, 0.375], atol=0.03)
    assert {scheduled(1.0, scores, NO_TARGET, rng) for _ in range(50)} == {0, 2}


def test_weights_of_a_map_agent_compute_the_same(ghost_config):
    torch.manual_seed(0)
    sizes = {name: getattr(ghost_config.network, name) for name in SIZES}
    sizes |= {"cross_layers": 1, "max_text_length": 16, "max_steps": 10}
    graph = MapTransformer(MapTransformerConfig(**sizes, standardise=True), 20, 3)
    for weight in graph.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    graph.panorama.fit(torch.tensor([0.3, -1.0, 2.0]), torch.tensor([0.5, 2.0, 1.5]))
    network = EtpNavNetwork(EtpNavNetworkConfig(**sizes), 20, 3, 0).eval()
    network.load_state_dict(convert_map_agent(graph.eval().state_dict()))
    features, mask = torch.randn(2, 5, 3), torch.tensor([[True] * 5, [True] * 4 + [False]])
    angles, ones = torch.randn(2, 5), torch.ones(2, 5)
    directions = torch.stack([angles.sin(), angles.cos(), 0 * ones, ones], 2)
    of_graph = torch.cat([directions, torch.ones(2, 5, 3)], 2)
    types = torch.randint(0, 2, (2, 5))
    ours, _ = network.panorama(PanoramaInputs(features, directions, types, mask))
    theirs, _ = graph.panorama(PanoramaInputs(features, of_graph, types, mask))
    torch.testing.assert_close(ours[mask], theirs[mask], atol=1e-5, rtol=0)
    nodes = NodeInputs(
        torch.randn(2, 4, sizes["hidden_size"]),
        torch.randint(0, 3, (2, 4)),
        torch.randn(2, 4, 7),
        60 * torch.rand(2, 4, 4),
        torch.ones(2, 4, dtype=torch.bool),
        torch.zeros(2, 4, dtype=torch.bool),
    )
    words = torch.randint(1, 20, (2, 6))
    coarse = graph.global_branch(nodes, graph.read(words))
    scores = network.score(network.read(words), nodes._replace(distances=nodes.distances / 30))
    torch.testing.assert_close(scores, graph.global_head(coarse)[..., 0], atol=1e-5, rtol=0)


def test_walks_do_not_depend_on_the_batch_and_a_run_starts_from_another(ghost_config, tmp_path):
    train(replace(ghost_config, iterations=1, tryout=True))
    task, walker = loaded(ghost_config.output)
    together, alone = task.env("val_seen", 4), task.env("val_seen", 1)
    walk_all(together, walker, [0, 1, 2, 3])
    for number, trace in enumerate(together.traces()):
        walk_all(alone, walker, [number])
        np.testing.assert_array_equal(alone.traces()[0].positions, trace.positions)
    start = replace(ghost_config, start_from=ghost_config.output, output=tmp_path / "other")
    learner = EtpNavLearner(start)
    first = EtpNavLearner(ghost_config)
    first.load_model(ghost_config.output)
    for name, weight in learner.saved.state_dict().items():
        assert torch.equal(weight, first.saved.state_dict()[name]), name
    narrow = replace(start, network=replace(start.network, feed_forward_size=24))
    with pytest.raises(ValueError, match="weights do not fit --network, the first: "):
        EtpNavLearner(narrow)
    learner.task.metadata["encoder_weights"] = "1" * 64
    with pytest.raises(ValueError, match="features of another encoder"):
        start_from(ghost_config.output, learner.task, learner.saved)


def test_a_run_starts_from_the_pretraining_of_a_map_agent(ghost_config, tmp_path):
    run, sizes = tmp_path / "pretrained", {n: getattr(ghost_config.network, n) for n in SIZES}
    network = MapTransformerConfig(**sizes, cross_layers=1, max_text_length=16, max_steps=10)
    tokenizer = EtpNavLearner(ghost_config).task.tokenizer
    torch.manual_seed(3)
    graph = MapTransformer(network, len(tokenizer), PixelEncoder.embed_dim)
    run.mkdir()
    config = MapPretrainConfig(
        network=network, max_instruction_length=12, max_decisions=6, output=run
    )
    (run / "config.json").write_text(to_json(config))
    tokenizer.save(run / VOCABULARY)
    encoder = f"{PixelEncoder.name} {PixelEncoder.weights_sha256}"
    save_model(run, graph, {"encoder": encoder})
    learner = EtpNavLearner(replace(ghost_config, start_from=run))
    expected = convert_map_agent(graph.state_dict())
    for name, weight in learner.saved.state_dict().items():
        assert torch.equal(weight, expected[name]), name
    save_model(run, graph, {"encoder": f"other {'1' * 64}"})
    with pytest.raises(ValueError, match="features of another encoder"):
        EtpNavLearner(replace(ghost_config, start_from=run))


def test_a_published_checkpoint_becomes_a_run(ghost_config, run_command, tiny_bert, tmp_path):
    torch.manual_seed(1)
    words = len(load_hugging_face_tokenizer(str(tiny_bert)))
    network = EtpNavNetwork(replace(ghost_config.network, **LIKE_BERT), words, 3, 0)
    for weight in network.parameters():
        torch.nn.init.normal_(weight, std=0.3)
    prefix = "net.module.vln_bert."
    weights = {
        original_name(name, ETPNAV).replace("module.vln_bert.", prefix): weight.clone()
        for name, weight in network.state_dict().items()
    }
    types = [weights.pop(f"{prefix}{part}.type_embedding") for part in ("text", "panorama")]
    weights[f"{prefix}embeddings.token_type_embeddings.weight"] = torch.stack(types)
    weights["net.module.rgb_encoder.model.scale"] = torch.ones(())
    save_checkpoint(tmp_path / "ckpt.pth", weights, ETPNAV_SETTINGS)
    run = tmp_path / "converted"
    run_command(
        *("convert-agent", "--model", "etpnav", "--weights", tmp_path / "ckpt.pth"),
        *("--bert", tiny_bert, "--heads", 2, "--encoder", "house_clip", "--output", run),
    )
    output = run_command("evaluate-continuous-agent", run, "--splits", "val_seen", "--no-baselines")
    assert "val_seen  ETPNav" in output
    task, walker = loaded(run)
    for name, weight in walker._network.state_dict().items():
        if not name.startswith("text."):
            assert torch.equal(weight, network.state_dict()[name]), name
    assert task.config.network.elevation == "published"
    # Of the configuration in the file; the others are those of the preset.
    assert task.config.map == GhostMapConfig(merge_distance=0.75, merges=True, keeps=True)
    assert (task.config.max_decisions, task.config.max_instruction_length) == (7, 60)
    assert (task.config.expert, task.config.resampling) == ("ndtw", "published")


@pytest.mark.parametrize(
    ("part", "name", "value", "problem"),
    [
        ("MODEL", "task_type", "rxr", "trained for rxr; --dataset r2r does not fit"),
        ("IL", "expert_policy", "best", "its expert 'best' is unknown"),
        ("IL", "max_traj_len", "7", "its configuration has '7' for max_decisions"),
    ],
)
def test_settings_that_do_not_fit_are_refused(ghost_config, tmp_path, part, name, value, problem):
    settings = {**ETPNAV_SETTINGS, part: {**ETPNAV_SETTINGS[part], name: value}}
    save_checkpoint(tmp_path / "ckpt.pth", {"a": torch.ones(1)}, settings)
    with pytest.raises(ValueError, match=rf"ckpt\.pth: {problem}"):
        with_published_settings(ghost_config, tmp_path / "ckpt.pth")
