"""Agents of another package: one that follows the rules, and some that do not."""

import numpy as np


class Agent:
    def __init__(self, task, choose):
        self.choose = choose

    def begin(self, observation, info, live):
        self.step = 0

    def act(self, observation, info, live):
        self.step += 1
        return self.choose(observation, info, live, self.step)


def two_moves(task, seed):
    """Move twice, by the first candidate that the seed leaves, and stop."""

    def choose(observation, info, live, step):
        moves = observation["candidates"].shape[1]
        options = observation["action_mask"][live, :moves].sum(1) - 1
        return np.where(step > 2, 0, 1 + (seed + step) % options)

    return Agent(task, choose)


def reads_the_teacher(task, seed):
    return Agent(task, lambda observation, info, live, step: info["teacher_action"][live])


def reads_the_map(task, seed):
    return Agent(task, lambda observation, info, live, step: observation["viewpoint"][live] * 0)


def reads_words(task, seed):
    """Stop at once, after reading everything that is allowed."""

    def choose(observation, info, live, step):
        assert all(isinstance(text, str) for text in info["instruction"][live])
        assert len(task.vocabulary) > observation["instruction"].max()
        assert "distance_to_goal" not in info
        assert info.get("metrics") is None
        return np.zeros(len(live), int)

    return Agent(task, choose)


def points(task, seed):
    """Move once, and stop there with the first object if one is visible."""

    def choose(observation, info, live, step):
        if step == 1:
            return np.ones(len(live), int)
        if "object_mask" not in observation:
            return np.zeros(len(live), int)
        first = observation["candidates"].shape[1]
        return np.where(observation["object_mask"][live, 0], first, 0)

    return Agent(task, choose)
