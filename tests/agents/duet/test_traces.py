"""Traces of map agents."""

import dataclasses

import pytest
import torch

from clipnav.agents.duet.learner import MapLearner
from clipnav.viewer.trace import record


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
