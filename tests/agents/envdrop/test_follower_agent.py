import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from clipnav.agents.acting.rollout import ActionSource, UniformStream, rollout, sample
from clipnav.agents.envdrop.follower_agent import FollowerAgent
from clipnav.agents.envdrop.learner import make_follower
from clipnav.agents.layers.critic import Critic
from clipnav.envs.navigation.device_features import DeviceFeatures

ALL = np.ones(16, bool)


@pytest.fixture(params=[False, True], ids=["plain", "with all options"])
def follower(doors_config, doors_env, request):
    torch.manual_seed(0)
    more = dict.fromkeys(
        ("location_aware_attention", "distance_feature", "candidate_mlp", "visit_features"),
        request.param,
    )
    settings = dataclasses.replace(doors_config.follower, **more)
    return make_follower(dataclasses.replace(doors_config, follower=settings), doors_env).eval()


@pytest.fixture
def features(doors_env):
    return DeviceFeatures(doors_env)


def instr_ids(env, count):
    return [episode.instr_id for episode in env.episodes[:count]]


def teacher_forced(env, follower, features, ids, **options):
    agent = FollowerAgent(
        follower, features, action_source=ActionSource(np.ones(len(ids), bool)), **options
    )
    return rollout(env, agent, ids)


def sampled(env, follower, features, ids, seed, teacher_forced=False):
    way = ActionSource(
        np.full(len(ids), teacher_forced), UniformStream(np.random.default_rng(seed), len(ids))
    )
    return rollout(env, FollowerAgent(follower, features, action_source=way), ids)


def test_an_episode_does_not_depend_on_its_batch(doors_env, follower, features):
    ids = instr_ids(doors_env, 9)
    sampled(doors_env, follower, features, ids, 0)
    assert len({len(path) for path in doors_env.paths()[:9]}) > 2, "they end at different steps"
    together = teacher_forced(doors_env, follower, features, ids)
    for row, instr_id in enumerate(ids):
        alone = teacher_forced(doors_env, follower, features, [instr_id])
        own = together.scores[together.rows == row]
        padding = own.shape[1] - alone.scores.shape[1]
        padded = functional.pad(alone.scores, (0, padding), value=-torch.inf)
        torch.testing.assert_close(own, padded)


def test_teacher_forcing_follows_the_reference_path(doors_env, follower, features):
    ids = instr_ids(doors_env, 16)
    decisions = teacher_forced(doors_env, follower, features, ids)
    wanted = {episode.instr_id: list(episode.path) for episode in doors_env.episodes}
    assert doors_env.paths() == [wanted[instr_id] for instr_id in ids]
    assert torch.equal(decisions.actions, decisions.teacher)
    assert decisions.sizes == [16, 16]
    assert decisions.rows.tolist() == [*range(16), *range(16)]
    assert decisions.rewards.tolist() == [1.0] * 16 + [2.0] * 16


def test_sampling_follows_its_generator(doors_env, follower, features):
    ids = instr_ids(doors_env, 16)
    walks = []
    for seed in (1, 1, 2):
        sampled(doors_env, follower, features, ids, seed)
        walks.append(doors_env.paths())
    assert walks[0] == walks[1]
    assert walks[0] != walks[2]
    with pytest.raises(ValueError, match="draws"):
        ActionSource(np.array([True, False]))
    with pytest.raises(ValueError, match="draws"):
        ActionSource(ALL, sampled_steps=0.5)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_sampled_steps_have_their_share_in_teacher_forced_rows(
    doors_env, follower, features, share
):
    ids = instr_ids(doors_env, 16)
    astray = steps = 0
    for seed in range(20):
        way = ActionSource(ALL, UniformStream(np.random.default_rng(seed), 16), share)
        decisions = rollout(doors_env, FollowerAgent(follower, features, action_source=way), ids)
        # An untrained follower that samples hits on the teacher's action by chance alone.
        chance = torch.softmax(decisions.scores, 1).gather(1, decisions.teacher.unsqueeze(1))
        astray += int((decisions.actions != decisions.teacher).sum())
        steps += float((1 - chance).sum().detach())
    assert astray / steps == pytest.approx(share, abs=0.05)


def test_truncated_episodes_have_a_hidden_state_after_the_last_step(doors_env, follower, features):
    ids = instr_ids(doors_env, 8)
    rng = np.random.default_rng(0)
    agent = FollowerAgent(follower, features, action_source=ActionSource(ALL[:8], None))
    decisions = rollout(doors_env, agent, ids, max_steps=1, look_ahead=True)
    assert decisions.cut.tolist() == list(range(8))
    whole = teacher_forced(doors_env, follower, features, ids)
    torch.testing.assert_close(decisions.cut_hidden, whole.hidden[8:])
    assert not decisions.cut_hidden.requires_grad
    way = ActionSource(~ALL[:8], UniformStream(rng, 8))
    agent = FollowerAgent(follower, features, action_source=way)
    decisions = rollout(doors_env, agent, ids, max_steps=1)
    assert len(decisions.cut) == len(decisions.cut_hidden) == 0


def test_draws_are_dealt_out_to_ranks():
    together = UniformStream(np.random.default_rng(3), 6)
    shared = [UniformStream(np.random.default_rng(3), 3, rank, 2) for rank in range(2)]
    for _ in range(2):
        whole = together.next(np.arange(6))
        for rank, draws in enumerate(shared):
            assert np.array_equal(draws.next(np.arange(3)), whole[rank::2])


@pytest.mark.parametrize("group", [1, 2])
def test_ranks_with_different_numbers_of_rows_share_no_draw(group):
    drawn = []
    for rank, rows in enumerate((2, 6, 4)):
        draws = UniformStream(np.random.default_rng(3), rows, rank, 3, group)
        drawn += [draws.next(np.arange(rows)) for _ in range(5)]
    drawn = np.concatenate(drawn)
    assert len(np.unique(drawn)) == len(drawn) == 5 * 12


def test_empty_instructions_hide_the_words(doors_env, follower, features):
    # Instructions 0 and 1 of one path differ; start and pictures are the same.
    ids = instr_ids(doors_env, 2)
    decisions = teacher_forced(doors_env, follower, features, ids)
    untold = teacher_forced(doors_env, follower, features, ids, use_instructions=False)
    assert not torch.allclose(decisions.scores[0], decisions.scores[1])
    torch.testing.assert_close(untold.scores[0], untold.scores[1])


def test_sample_follows_probabilities():
    rng = np.random.default_rng(0)
    probabilities = np.tile([0.2, 0.0, 0.8], (20_000, 1)).astype(np.float32)
    counts = np.bincount(sample(probabilities, rng.random(20_000)), minlength=3)
    assert counts[1] == 0
    assert counts[0] / 20_000 == pytest.approx(0.2, abs=0.01)
    # The edges of what a generator draws: 0 to just below 1.
    edges = np.array([0.0, np.nextafter(1.0, 0.0)])
    assert sample(np.tile([0.0, 0.5, 0.5, 0.0], (2, 1)), edges).tolist() == [1, 2]


def test_explain_describes_the_last_step(doors_env, follower, features):
    ids = instr_ids(doors_env, 4)
    agent = FollowerAgent(follower, features)
    with pytest.raises(RuntimeError, match="acted greedily"):
        agent.explain()
    observation, info = doors_env.reset(options={"episode_ids": [*ids, *ids[:1] * 12]})
    live = np.array([0, 2, 3])
    agent.begin(observation, info, live)
    actions = agent.act(observation, info, live)
    why = agent.explain()
    np.testing.assert_array_equal(why["probabilities"].argmax(1), actions)
    np.testing.assert_array_equal(why["stop"], why["probabilities"][:, 0])
    assert why["value"] is None
    possible = observation["action_mask"][live][:, : why["probabilities"].shape[1]]
    assert not why["probabilities"][possible == 0].any()
    read = (observation["instruction"][live] != 0)[:, : why["word_attention"].shape[1]]
    assert not why["word_attention"][~read].any()
    assert why["view_attention"].shape == (3, 36)
    for name in ("probabilities", "word_attention", "view_attention"):
        np.testing.assert_allclose(why[name].sum(1), 1, rtol=1e-5)
    agent.critic = Critic(follower.config.hidden_size, 0.0)
    assert agent.explain()["value"].shape == (3,)
