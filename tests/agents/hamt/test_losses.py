"""The states of known paths against walks, one step at a time."""

import dataclasses

import numpy as np
import pytest
import torch

from clipnav.agents.acting.rollout import STOP, ActionSource, UniformStream, rollout
from clipnav.agents.hamt.agent import HistoryAgent
from clipnav.agents.hamt.learner import HistoryLearner, HistoryLoss, TeacherForcedBatch
from clipnav.agents.learning.agent_learner import prepare
from clipnav.agents.learning.objectives import imitation_loss
from clipnav.agents.transformer.il_rl import Minibatches

EPISODES = np.array([3, 0, 3, 7, 5])


@pytest.fixture(params=[True, False], ids=["language attention", "fixed text"])
def learner(request, history_config, tree_settings):
    """Learner in the world of the trees, whose paths have three viewpoints."""
    network = dataclasses.replace(history_config.network, language_attention=request.param)
    world = {**tree_settings, "batch_size": 8, "max_episode_steps": 12}
    config = dataclasses.replace(history_config, **world, network=network)
    prepare(config)
    return HistoryLearner(config)


def gradients(model):
    found = {n: w.grad.clone() for n, w in model.named_parameters() if w.grad is not None}
    model.zero_grad()
    return found


def test_loss_and_gradient_of_all_steps_at_once_equal_those_of_a_walk(learner):
    env, model = learner.env, learner.model
    loss, _ = learner.network.clone(env, learner.features, learner.references, EPISODES)
    loss.backward()
    together = gradients(model)
    agent = HistoryAgent(model, learner.features, True, ActionSource(np.ones(len(EPISODES), bool)))
    walk = rollout(env, agent, [env.episodes[episode].instr_id for episode in EPISODES])
    expected = imitation_loss(walk.scores, walk.teacher, len(EPISODES))
    expected.backward()
    torch.testing.assert_close(loss, expected)
    by_steps = gradients(model)
    assert together.keys() == by_steps.keys()
    for name, value in by_steps.items():
        largest = float(value.abs().max())
        torch.testing.assert_close(together[name], value, atol=1e-4 * largest + 1e-7, rtol=0)
    assert max(float(value.abs().max()) for value in by_steps.values()) > 1e-3


def test_known_steps_follow_the_reference_paths(learner):
    world, references = learner.features.world, learner.references
    known = TeacherForcedBatch.of(world, references, EPISODES, 12)
    index, mask = known.past()
    for place, episode in enumerate(EPISODES):
        path = references.nodes[episode][: references.sizes[episode]]
        rows = np.flatnonzero(known.episodes == place)
        assert known.nodes[known.states[rows]].tolist() == path.tolist()
        for row, step in zip(rows, range(len(path)), strict=True):
            assert known.nodes[index[row][mask[row]]].tolist() == path[:step].tolist()
            action = known.actions[known.states[row]]
            if step == len(path) - 1:
                assert action == STOP
            else:
                assert world.targets[path[step], action] == path[step + 1]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_the_teacher_leads_walks_without_sampled_steps(learner, share):
    loss = HistoryLoss(learner.model, dataclasses.replace(learner.config, sampled_steps=share))
    batch = Minibatches(np.arange(0), np.arange(8), UniformStream(np.random.default_rng(0), 8), 0.0)
    loss.sample(learner.env, learner.features, learner.references, batch)
    references = [list(episode.path) for episode in learner.env.episodes[:8]]
    assert (learner.env.paths()[:8] == references) == (share == 0)


def test_long_paths_are_cut_at_the_limit_of_an_episode(learner):
    known = TeacherForcedBatch.of(learner.features.world, learner.references, EPISODES, 2)
    assert np.bincount(known.episodes).tolist() == [2] * len(EPISODES)
    assert (known.actions != STOP).all()


def test_views_contain_every_candidate_and_each_other_view_once(learner):
    world, features = learner.features.world, learner.features
    nodes = np.arange(12)
    views = np.arange(12) + 12
    seen = features.views(nodes, views)
    panorama = features.steps(nodes, views, np.zeros(12, int), np.zeros(12, int))
    for row, node in enumerate(nodes):
        candidates = world.views[node, world.valid[node]][1:]
        others = [view for view in range(36) if view not in candidates]
        types, mask = seen.types[row], seen.mask[row]
        assert int(types[0]) == 2
        assert not seen.features[row, 0].any()
        assert int(((types == 1) & mask).sum()) == len(candidates)
        is_other = (types == 0) & mask
        for name, parts in (("features", "panorama"), ("angles", "angles")):
            found, all_views = getattr(seen, name)[row], getattr(panorama, parts)[row]
            assert torch.equal(found[is_other], all_views[others])
        found = seen.features[row][(types == 1) & mask]
        assert torch.equal(found, panorama.panorama[row][torch.from_numpy(candidates).long()])
        assert torch.equal(panorama.view[row], panorama.panorama[row, views[row]])


def test_episodes_of_a_single_action_have_no_past(learner):
    features, model = learner.features, learner.model
    known = TeacherForcedBatch.of(features.world, learner.references, EPISODES, 1)
    tokens = learner.network.instructions(learner.env, EPISODES)
    scores = known.score(model, features, tokens).actions
    # The same states as the first ones of longer episodes.
    longer = TeacherForcedBatch.of(features.world, learner.references, EPISODES, 2)
    both = longer.score(model, features, tokens).actions
    firsts = longer.numbers[longer.states] == 0
    torch.testing.assert_close(scores, both[firsts][:, : scores.shape[1]])
