"""Start of chosen episodes in a batch of agents that walk each of them once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from gymnasium.vector import AutoresetMode

from clipnav.storage.errors import UserError


def check_batch(env: Any) -> None:
    """Refuse an environment without a batch of agents that stay where their episode ended."""
    mode = getattr(env, "autoreset_mode", None)
    if mode is None:
        raise TypeError(
            f"{env} has no batch of agents; make the environment with "
            "gymnasium.make_vec(..., autoreset_mode='Disabled') and do not wrap it"
        )
    if mode is not AutoresetMode.DISABLED:
        raise UserError(
            f"the environment has autoreset_mode={mode.value!r}, so that another episode replaces "
            "one that has ended; make it with autoreset_mode='Disabled'"
        )


def check_instr_ids(instr_ids: Sequence[str]) -> None:
    """Refuse one id in place of a list of ids, because a str is a sequence of letters."""
    if isinstance(instr_ids, str):
        raise TypeError(f"instr_ids must be a list, not {instr_ids!r}; pass [{instr_ids!r}]")


def check_loaded_for(env: Any, agent: object) -> None:
    """Refuse an agent that has been loaded for an environment of another kind.

    Its features are those of the viewpoints of that environment, by their numbers.
    """
    own = getattr(agent, "loaded_for", None)
    if own is None or own is env:
        return
    fits = (
        env.settings.observe == own.settings.observe
        and env.nav_world.keys == own.nav_world.keys
        and env.tokenizer == own.tokenizer
    )
    if not fits:
        raise UserError(
            f"the agent was loaded for {own.split.dataset} {own.split.name}, whose viewpoints, "
            "tokens or observations are others than those of this environment; use the "
            f"environment and the agent of load_run(run, {env.split.name!r})"
        )


def start_episodes(env: Any, instr_ids: Sequence[str]) -> tuple[Any, Any, np.ndarray]:
    """Start episodes in the first agents of a batch; the other agents repeat the first episode.

    Returns:
        Observation and info of the batch, and the agents (N,) of the episodes.
    """
    check_batch(env)
    check_instr_ids(instr_ids)
    count, size = len(instr_ids), env.num_envs
    if not 1 <= count <= size:
        raise UserError(f"{count} episodes for {size} environments; pass 1 to {size} instr_ids")
    padded = [*instr_ids, *[instr_ids[0]] * (size - count)]
    observation, info = env.reset(options={"episode_ids": padded})
    return observation, info, np.arange(count)
