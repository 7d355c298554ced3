"""Letting an agent follow anybody's instruction from any viewpoint of a loaded world."""

from typing import Any, cast

import gymnasium as gym
import numpy as np

from envs.episodes import Episode
from envs.graphs.candidates import start_views
from envs.navigation.observations import IndexObserver
from envs.navigation.vector_env import VlnVectorEnv
from viewer.trace import Trace
from viewer.trace.building import Setting, build_trace
from viewer.trace.recording import Walker, explanation, noted


def walk_freely(
    env: VlnVectorEnv, agent: Walker, setting: Setting, episode: Episode, max_steps: int
) -> Trace:
    """Let an agent follow an instruction that no split holds.

    Args:
        env: The agent's; its graphs and its tokenizer are used, its episodes are not.
        agent: One that observes indices. Grad mode should be off.
        setting: For the trace.
        episode: Start, heading and instruction; the path is its start alone if the goal is unknown.
        max_steps: Decisions before the walk is cut off.

    Raises:
        KeyError: The environment has not loaded that building, or it has no such viewpoint.
    """
    world, observer = env.nav_world, IndexObserver(env.nav_world, 1)
    space = cast(gym.spaces.Dict, env.single_observation_space)["instruction"]
    tokens = env.tokenizer.encode(episode.instruction, cast(gym.spaces.Box, space).shape[0])
    observation = {"instruction": tokens[None], **observer.buffers()}
    node = world.node(episode.scan, episode.path[0])
    view = int(start_views(np.array([episode.heading]))[0])
    live, moments = np.arange(1), []
    for step in range(max_steps + 1):
        observer.observe(np.array([node]), np.array([view]), observation)
        info = _info(episode, str(world.viewpoint_ids[node]))
        if step == 0:
            agent.begin(observation, info, live)
        over = step == max_steps
        action = None if over else int(agent.act(observation, info, live)[0])
        why = {} if over else explanation(agent)
        moments.append(noted(env.tokenizer, observation, info, 0, action, why, 0))
        if not action:
            break
        node, view = int(world.targets[node, action]), int(world.views[node, action])
    ending = "cut off" if moments[-1].action is None else "stopped"
    return build_trace(setting, episode, world.graphs[episode.scan], moments, ending)


def _info(episode: Episode, viewpoint: str) -> dict[str, Any]:
    """What an environment tells an agent beside its observation; it knows no teacher."""
    told = {
        "instr_id": episode.instr_id,
        "instruction": episode.instruction,
        "scan": episode.scan,
        "viewpoint": viewpoint,
        "teacher_action": 0,
    }
    return {name: np.array([value]) for name, value in told.items()}
