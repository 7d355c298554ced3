import dataclasses

import numpy as np
import pytest

from clipnav.viewer.trace.recording import walk_freely


class ObservingAgent:
    """Agent that takes the first candidate for some steps and stores its observations."""

    def __init__(self, moves):
        self.moves = moves

    def begin(self, observation, info, live):
        self.seen = []

    def act(self, observation, info, live):
        self.seen.append({name: array.copy() for name, array in observation.items()})
        return np.array([1 if len(self.seen) <= self.moves else 0])


def test_observations_are_those_of_the_environment(tiny_env):
    episode = tiny_env.episodes[2]
    agent = ObservingAgent(2)
    trace = walk_freely(tiny_env, agent, "agent", episode, 6)
    observation, _ = tiny_env.reset(options={"episode_ids": [episode.instr_id] * 4})
    for number, seen in enumerate(agent.seen):
        for name, array in seen.items():
            np.testing.assert_array_equal(array[0], observation[name][0], err_msg=name)
        action = 1 if number < 2 else 0
        observation, *_ = tiny_env.step(np.full(4, action))
    assert list(trace.walked) == tiny_env.paths()[0]
    assert trace.ending == "stopped"
    assert trace.steps[-1].metrics["TL"] > 0


def test_an_agent_follows_any_sentence_from_any_viewpoint(tiny_env):
    own = dataclasses.replace(
        tiny_env.episodes[0], path=("a4",), instruction="Walk to the purple dragon.", heading=1.6
    )
    agent = ObservingAgent(9)
    trace = walk_freely(tiny_env, agent, "agent", own, 3)
    assert trace.ending == "cut off"
    assert len(trace.steps) == 4
    assert trace.walked[0] == "a4"
    assert agent.seen[0]["view"][0] == 15
    assert trace.steps[0].metrics == {}
    assert trace.words == ("Walk ", "to ", "the ", "purple ", "dragon", ".")
    known = tiny_env.tokenizer.words
    unknown = [word.strip() for word in trace.words if word.strip().lower() not in known]
    assert [trace.words[place].strip() for place in trace.unknown_words] == unknown
    assert "purple" in unknown
    with pytest.raises(KeyError):
        walk_freely(tiny_env, agent, "agent", dataclasses.replace(own, path=("b0",)), 3)
