"""Training of map agents in the world of the doors."""

import dataclasses
import json

import pytest
import torch

from clipnav.agents.acting.rollout import walk
from clipnav.agents.duet.learner import MapLearner
from clipnav.agents.duet.settings import MapTransformerConfig
from clipnav.agents.experiments.runs import load_run
from clipnav.agents.experiments.training import train
from clipnav.agents.learning.agent_learner import make_agent_trainer, prepare
from clipnav.agents.transformer.text import RecurrentTextEncoder
from clipnav.training.checkpoints import RESULTS
from clipnav.viewer.trace import record
from tests.agents.weights import assert_equal_weights


def test_a_map_agent_learns_a_trivial_world(map_config):
    config = dataclasses.replace(map_config, iterations=300, cloning_iterations=160)
    results = train(config)
    for split in ("val_seen", "val_unseen"):
        assert results[split]["map agent"]["SR"] > 0.75
        assert results[split]["map agent"]["SPL"] > 0.75
        assert results[split]["random"]["SR"] < 0.7
    report = json.loads((config.output / RESULTS).read_text())
    assert report["results"] == results


def test_steps_and_whole_decisions_lead_to_the_same_trajectories(map_config, tree_settings):
    torch.manual_seed(0)
    config = dataclasses.replace(map_config, **tree_settings, max_decisions=7)
    learner = MapLearner(config)
    learner.network.eval()
    learner.model.local_head.outer.weight.data *= 100.0  # an untrained network stops at once
    env, agent = learner.evaluation_envs["val_unseen"], learner.agent("val_unseen")
    ids = [episode.instr_id for episode in env.episodes]
    with torch.inference_mode():
        agent.walk(env, ids)
        together = env.trajectories()
        walk(env, agent, ids)
    assert env.trajectories()[: len(ids)] == together[: len(ids)]
    assert max(len(path) for path in together) > 6


def test_minibatches_hold_the_instructions_of_whole_paths(short_config):
    prepare(short_config)
    learner = MapLearner(short_config)
    first, later = learner.batch(0), learner.batch(2)
    assert first.sampled.size == 0
    assert (first.weight, later.weight) == (1.2, 0.2)
    for part in (first.cloned, later.cloned, later.sampled):
        paths = [learner.env.episodes[episode].path for episode in part]
        assert all(paths.count(path) == 3 for path in paths)
    assert not set(later.cloned) & set(later.sampled)


def test_a_run_to_start_from_must_exist(short_config, tmp_path):
    with pytest.raises(FileNotFoundError, match=f"--start-from {tmp_path / 'moved'} "):
        MapLearner(dataclasses.replace(short_config, start_from=tmp_path / "moved"))


def test_a_run_continues_from_the_network_of_another(short_config, tmp_path):
    first = dataclasses.replace(short_config, output=tmp_path / "first")
    trainer, learner = make_agent_trainer(MapLearner, first)
    trainer.train()
    learner.load_model(tmp_path / "first")
    saved = {name: value.clone() for name, value in learner.model.state_dict().items()}
    config = dataclasses.replace(short_config, start_from=tmp_path / "first")
    assert_equal_weights(saved, MapLearner(config).model.state_dict())
    wider = dataclasses.replace(config.network, hidden_size=64)
    with pytest.raises(ValueError, match="width"):
        MapLearner(dataclasses.replace(config, network=wider))


def test_a_run_starts_with_the_word_encoder_of_a_follower(map_config, doors_config, tmp_path):
    sizes = {"embedding_size": 32, "hidden_size": 64}
    follower = dataclasses.replace(
        doors_config,
        iterations=2,
        output=tmp_path / "follower",
        follower=dataclasses.replace(doors_config.follower, **sizes),
    )
    train(follower)
    encoder = load_run(follower.output, "val_unseen")[1].follower.encoder
    network = dataclasses.replace(map_config.network, text_encoder="lstm", max_text_length=512)
    config = dataclasses.replace(map_config, network=network, start_from=follower.output)
    prepare(config)
    text = MapLearner(config).model.text
    assert torch.equal(text.words.weight[1:], encoder.embedding.weight[1:])
    assert torch.equal(text.read.forwards.weight_hh_l0, encoder.read.forwards.weight_hh_l0)
    with pytest.raises(ValueError, match=r"--network.text-encoder lstm"):
        MapLearner(dataclasses.replace(config, network=map_config.network))
    wider = dataclasses.replace(network, hidden_size=64)
    with pytest.raises(ValueError, match="32 and 64"):
        MapLearner(dataclasses.replace(config, network=wider))


def test_padding_does_not_change_the_text_of_a_recurrent_encoder():
    config = MapTransformerConfig(hidden_size=8, heads=2, text_encoder="lstm", dropout=0.0)
    encoder = RecurrentTextEncoder(config, 9)
    tokens = torch.tensor([[1, 4, 5, 6, 2], [1, 7, 2, 0, 0]])
    together = encoder(tokens)
    alone = encoder(tokens[1:, :3])
    torch.testing.assert_close(together.states[1, :3], alone.states[0])
    assert together.mask.tolist()[1] == [True, True, True, False, False]


@pytest.fixture
def recorded(map_config, tree_settings, tmp_path):
    """Traces of an untrained agent that walks, their folder and the environment."""
    torch.manual_seed(0)
    config = dataclasses.replace(map_config, **tree_settings, max_decisions=7)
    learner = MapLearner(config)
    learner.network.eval()
    learner.model.local_head.outer.weight.data *= 100.0  # an untrained network stops at once
    env, agent = learner.evaluation_envs["val_unseen"], learner.agent("val_unseen")
    ids = [episode.instr_id for episode in env.episodes]
    with torch.inference_mode():
        traces = record(env, agent, ids, tmp_path / "traces", name="map agent")
    return env, traces, tmp_path / "traces"


def test_a_trace_contains_the_map_at_each_decision(recorded):
    _, traces, _ = recorded
    assert max(len(trace.steps) for trace in traces) > 6
    for trace in traces:
        seen, visited, known = set(), set(), None
        for step in trace.steps:
            arrived = known is None or (known.target == step.viewpoint and not known.ends)
            assert (step.known_map is not None) == arrived, "an agent decides where it arrives"
            if step.known_map is None:
                continue
            known = step.known_map
            visited.add(step.viewpoint)
            seen |= {step.viewpoint, *(c.viewpoint for c in step.candidates)}
            assert {node.viewpoint for node in known.nodes} == seen
            assert {node.viewpoint for node in known.nodes if node.visited} == visited
            chances = [node.probability for node in known.nodes if not node.visited]
            assert sum(chances) + step.stop_probability == pytest.approx(1, abs=2e-3)
            actions = [candidate.probability for candidate in step.candidates]
            assert sum(actions) + step.stop_probability == pytest.approx(1, abs=2e-3)
            if known.target is not None and not known.ends:
                chosen = [n.probability for n in known.nodes if n.viewpoint == known.target]
                assert actions[step.action - 1] >= chosen[0] - 1e-3


def test_the_last_walk_of_a_trace_leads_to_the_most_probable_stop(recorded):
    for trace in recorded[1]:
        decided = [step for step in trace.steps if step.known_map is not None]
        best = max(decided, key=lambda step: step.stop_probability)
        last = decided[-1].known_map
        assert last.ends
        assert (last.target or decided[-1].viewpoint) == best.viewpoint
        assert trace.steps[-1].viewpoint == best.viewpoint
        assert trace.steps[-1].action == 0
