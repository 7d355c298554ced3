"""Recording an agent while it walks."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np

from clipnav.envs.base.chosen_episodes import (
    check_batch,
    check_instr_ids,
    check_loaded_for,
    start_episodes,
)
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import Tokenizer
from clipnav.storage.records import read_records
from clipnav.viewer.trace.building import Decision, Setting, build_trace
from clipnav.viewer.trace.format import KnownMap, Trace, trace_file_name, write_trace
from clipnav.viewer.trace.words import word_attention

# Arrays with a row per live row of the batch, see `FollowerAgent.explain` and `MapAgent.explain`.
Explanation = dict[str, np.ndarray | None]


class RecordedAgent(Protocol):
    """Agent whose decisions are recorded.

    Its optional method `explain` returns details of its last actions.
    """

    def begin(self, observation: dict[str, Any], info: dict[str, Any], live: np.ndarray) -> None:
        """Start new episodes in the rows `live` of the batch."""
        ...

    def act(
        self, observation: dict[str, Any], info: dict[str, Any], live: np.ndarray
    ) -> np.ndarray:
        """Return actions (N,) for the rows `live` (N,)."""
        ...


def record(
    env: VlnVectorEnv,
    agent: RecordedAgent,
    instr_ids: Sequence[str],
    folder: str | Path | None = None,
    *,
    name: str,
) -> list[Trace]:
    """Run an agent on episodes and record its decisions.

    Args:
        env: Environment without autoreset (`AutoresetMode.DISABLED`).
        agent: Agent that chooses the actions. Its networks must be in evaluation mode, and grad
            mode must be off.
        instr_ids: Episodes, any number of them.
        folder: Folder to write the traces to, one file per episode. Earlier traces of the same
            agent and episode are replaced.
        name: Name of the agent in the traces.

    Returns:
        The trace of each episode, in the same order.

    Raises:
        TypeError, UserError: The environment has no batch of agents, or autoreset; the agent was
            loaded for another one; or `instr_ids` is a single id.
        FileExistsError: A file in the folder has a trace of another agent, world, dataset or split.
    """
    check_batch(env)
    check_instr_ids(instr_ids)
    check_loaded_for(env, agent)
    setting = Setting(name, env.files.world, env.split.dataset, env.split.name)
    if folder is not None:
        _check_replaceable(Path(folder), instr_ids, setting)
    traces = []
    for start in range(0, len(instr_ids), env.num_envs):
        traces += _record_batch(env, agent, instr_ids[start : start + env.num_envs], setting)
    if folder is not None:
        for trace in traces:
            write_trace(trace, Path(folder))
    return traces


def record_all(
    env: VlnVectorEnv, agents: Mapping[str, RecordedAgent], instr_ids: Sequence[str]
) -> dict[str, list[Trace]]:
    """Run several agents on the same episodes and record their decisions.

    Args:
        env: As for `record`.
        agents: Agents by name.
        instr_ids: As for `record`.

    Returns:
        Traces by name of the agent.
    """
    return {name: record(env, agent, instr_ids, name=name) for name, agent in agents.items()}


def _check_replaceable(folder: Path, instr_ids: Sequence[str], setting: Setting) -> None:
    for instr_id in instr_ids:
        path = folder / trace_file_name(instr_id)
        remedy = "delete it, or record into another folder"
        for found in read_records(path, Trace, remedy) if path.is_file() else ():
            other = Setting(found.agent, found.world, found.dataset, found.split)
            if (other, found.instr_id) != (setting, instr_id):
                raise FileExistsError(
                    f"{path}: contains the walk of {found.instr_id} by '{found.agent}' "
                    f"({found.world}, {found.dataset}, {found.split}); name another folder for the "
                    f"traces of '{setting.agent}' ({setting.world}, {setting.dataset}, "
                    f"{setting.split}): each agent and split needs its own"
                )


def agent_folder(folder: Path, name: str) -> Path:
    """Return the subfolder for the traces of an agent."""
    return folder / name.replace(" ", "-")


def _record_batch(
    env: VlnVectorEnv, agent: RecordedAgent, instr_ids: Sequence[str], setting: Setting
) -> list[Trace]:
    observation, info, live = start_episodes(env, instr_ids)
    agent.begin(observation, info, live)
    decisions: list[list[Decision]] = [[] for _ in instr_ids]
    while live.size:
        actions = np.zeros(env.num_envs, int)
        actions[live] = agent.act(observation, info, live)
        explained = explanation(agent)
        for place, row in enumerate(live.tolist()):
            details = {key: rows[place] for key, rows in explained.items() if rows is not None}
            decisions[row].append(
                decision_of(env.tokenizer, observation, info, row, int(actions[row]), details)
            )
        observation, _, stopped, truncated, info = env.step(actions)
        live = live[~stopped[live]]
        if truncated[live].any():
            break
    for row in live.tolist():  # cut off: nothing was decided where they stand
        decisions[row].append(decision_of(env.tokenizer, observation, info, row, None, {}))
    cut = set(live.tolist())
    return [
        build_trace(
            setting,
            episode,
            env.nav_world.graphs[episode.scan],
            decisions[row],
            "cut off" if row in cut else "stopped",
        )
        for row, episode in enumerate(env.current_episodes()[: len(instr_ids)])
    ]


def explanation(agent: RecordedAgent) -> Explanation:
    """Return the details of an agent's last actions; empty if it has no `explain`."""
    explain = getattr(agent, "explain", None)
    return {} if explain is None else explain()


def decision_of(
    tokenizer: Tokenizer,
    observation: dict[str, Any],
    info: dict[str, Any],
    row: int,
    action: int | None,
    details: Mapping[str, Any],
) -> Decision:
    """Return the decision of one row of a batch.

    Args:
        tokenizer: Tokenizer of the instructions.
        observation: Observation of the batch before the action.
        info: Infos of the batch before the action.
        row: Row of the agent in both.
        action: Action of the agent; None if it chose none.
        details: Details of the action by name, see `Explanation`; empty if the agent did not choose
            one.
    """
    words = details.get("word_attention")
    if words is not None:
        ids = observation["instruction"][row]
        words = word_attention(tokenizer, str(info["instruction"][row]), ids, words)
    known = details.get("known_map")
    possible = action is None or observation["action_mask"][row][action]
    return Decision(
        viewpoint=str(info["viewpoint"][row]),
        heading=float(observation["heading"][row, 0]),
        elevation=float(observation["elevation"][row, 0]),
        action=action if possible else None,
        probabilities=details.get("probabilities"),
        value=float(details["value"]) if "value" in details else None,
        word_attention=words,
        view_attention=details.get("view_attention"),
        known_map=None if known is None else msgspec.convert(known, KnownMap),
    )
