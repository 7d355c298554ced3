"""Walks of an agent that follows any instruction from any viewpoint of a loaded world."""

import dataclasses

import msgspec
from gymnasium.vector import AutoresetMode

from clipnav.envs.episodes import Episode
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.viewer.trace import Trace
from clipnav.viewer.trace.recording import RecordedAgent, record
from clipnav.viewer.trace.words import unknown_words


def walk_freely(
    env: VlnVectorEnv, agent: RecordedAgent, name: str, episode: Episode, max_steps: int
) -> Trace:
    """Let an agent follow an instruction that no split contains.

    Args:
        env: Environment of the agent; its episodes are not used.
        agent: Agent that observes indices. Grad mode should be off.
        name: Name of the agent in the trace.
        episode: Start, heading and instruction; the path is only the start if the goal is unknown.
        max_steps: Number of decisions before the walk is cut off.

    Raises:
        KeyError: The environment has not loaded the building, or the viewpoint does not exist.
    """
    own = VlnVectorEnv(
        dataclasses.replace(env.split, name="", episodes=[episode]),
        num_envs=1,
        settings=dataclasses.replace(env.settings, max_episode_steps=max_steps),
        autoreset_mode=AutoresetMode.DISABLED,
    )
    (trace,) = record(own, agent, [episode.instr_id], name=name)
    unknown = unknown_words(env.tokenizer, episode.instruction)
    return msgspec.structs.replace(trace, unknown_words=unknown)
