import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional

from agents.environments import make_env, make_follower
from agents.objectives import agreement, imitation_loss
from agents.rollout import Decisions, FollowerAgent, rollout, sample, walk, without_words
from envs.episodes import Episode


@pytest.fixture
def follower(doors_config, doors_env):
    torch.manual_seed(0)
    return make_follower(doors_config, doors_env).eval()


class Recorder:
    """Stops row i after i moves between centre and door."""

    def __init__(self):
        self.calls = []

    def begin(self, observation, info, live):
        self.left = np.arange(len(info["instr_id"])) % 4

    def act(self, observation, info, live):
        self.calls.append(live.tolist())
        actions = np.minimum(self.left[live], 1)
        self.left[live] -= 1
        return actions


def instr_ids(env, count) -> list[str]:
    episodes: list[Episode] = env.episodes
    return [episode.instr_id for episode in episodes[:count]]


def test_walk_drops_episodes_that_are_over(doors_env):
    recorder = Recorder()
    walk(doors_env, recorder, instr_ids(doors_env, 6))
    assert recorder.calls == [[0, 1, 2, 3, 4, 5], [1, 2, 3, 5], [2, 3], [3]]
    assert [len(path) for path in doors_env.paths()[:6]] == [1, 2, 3, 4, 1, 2]


def test_walk_refuses_more_episodes_than_environments(doors_env):
    ids = instr_ids(doors_env, doors_env.num_envs + 1)
    with pytest.raises(ValueError, match="17 episodes for 16 environments"):
        walk(doors_env, Recorder(), ids)


def test_walk_ends_where_the_environment_truncates(doors_env):
    class Restless(Recorder):
        def act(self, observation, info, live):
            self.calls.append(live.tolist())
            return np.ones(len(live), int)

    agent = Restless()
    walk(doors_env, agent, instr_ids(doors_env, 3))
    assert len(agent.calls) == doors_env.max_episode_steps


def test_an_episode_does_not_depend_on_its_batch(doors_env, follower):
    ids = instr_ids(doors_env, 9)
    rng = np.random.default_rng
    together = rollout(doors_env, follower, ids, "sample", rng(0))
    assert len({len(scores) for scores in together.scores}) > 2, "episodes end at different steps"
    teacher_forced = rollout(doors_env, follower, ids, "teacher")
    alone = [rollout(doors_env, follower, [instr_id], "teacher") for instr_id in ids]
    for step, scores in enumerate(teacher_forced.scores):
        width = scores.shape[1]
        rows = [one.scores[step] for one in alone if len(one.scores) > step]
        padded = [functional.pad(row, (0, width - row.shape[1]), value=-torch.inf) for row in rows]
        torch.testing.assert_close(scores, torch.cat(padded))
    losses = torch.stack([imitation_loss(one) for one in alone])
    torch.testing.assert_close(imitation_loss(teacher_forced), losses.mean())


def test_teacher_feedback_walks_the_reference_path(doors_env, follower):
    ids = instr_ids(doors_env, 16)
    rollout(doors_env, follower, ids, "teacher")
    wanted = {episode.instr_id: list(episode.path) for episode in doors_env.episodes}
    assert doors_env.paths() == [wanted[instr_id] for instr_id in ids]


def test_sampling_needs_and_follows_its_generator(doors_env, follower):
    ids = instr_ids(doors_env, 16)
    walks = []
    for seed in (1, 1, 2):
        rollout(doors_env, follower, ids, "sample", np.random.default_rng(seed))
        walks.append(doors_env.paths())
    assert walks[0] == walks[1]
    assert walks[0] != walks[2]
    with pytest.raises(ValueError, match="generator"):
        FollowerAgent(follower, "sample")


def test_mixed_feedback_follows_the_teacher_in_every_other_episode(doors_env, follower):
    ids = instr_ids(doors_env, 16)
    rollout(doors_env, follower, ids, "mixed", np.random.default_rng(0))
    wanted = {episode.instr_id: list(episode.path) for episode in doors_env.episodes}
    right = [
        path == wanted[instr_id] for path, instr_id in zip(doors_env.paths(), ids, strict=True)
    ]
    assert all(right[::2])
    assert not all(right[1::2])


def test_without_words_leaves_the_ends_of_a_sentence():
    tokens = np.array([[9, 4, 5, 2, 0], [9, 4, 2, 0, 0]], np.int32)
    assert without_words(tokens).tolist() == [[9, 2], [9, 2]]


def test_language_off_hides_the_instruction(doors_env, follower):
    # Instructions 0 and 1 of one path differ; start and pictures are the same.
    ids = instr_ids(doors_env, 2)
    told = rollout(doors_env, follower, ids, "teacher")
    untold = rollout(doors_env, follower, ids, "teacher", language=False)
    assert not torch.equal(told.scores[0][0], told.scores[0][1])
    assert torch.equal(untold.scores[0][0], untold.scores[0][1])


def test_no_vision_sees_angles_only(doors_config):
    env = make_env(dataclasses.replace(doors_config, vision=False), "train")
    assert env.single_observation_space["panorama"].shape == (36, 4)
    follower = make_follower(dataclasses.replace(doors_config, vision=False), env)
    assert follower.visual == 0
    decisions = rollout(env, follower.train(), instr_ids(env, 4), "teacher")
    assert torch.isfinite(imitation_loss(decisions))


def test_sample_follows_probabilities():
    rng = np.random.default_rng(0)
    probabilities = np.tile([0.2, 0.0, 0.8], (20_000, 1)).astype(np.float32)
    counts = np.bincount(sample(probabilities, rng), minlength=3)
    assert counts[1] == 0
    assert counts[0] / 20_000 == pytest.approx(0.2, abs=0.01)


def test_imitation_loss_is_the_sum_over_steps_per_episode():
    first = torch.tensor([[0.0, 1.0, 2.0], [1.0, 0.0, -torch.inf]])
    second = torch.tensor([[0.5, 0.5]])
    decisions = Decisions([first, second], [torch.tensor([2, 0]), torch.tensor([1])], episodes=2)
    expected = -(
        first[0].log_softmax(0)[2] + first[1].log_softmax(0)[0] + second[0].log_softmax(0)[1]
    )
    torch.testing.assert_close(imitation_loss(decisions), expected / 2)
    # Two of three decisions are the teacher's: of equal scores the first, 0, counts as the choice.
    assert agreement(decisions) == pytest.approx(2 / 3)
