"""Recording an agent while it walks, and traces of paths that are known, as in submissions."""

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import msgspec
import numpy as np
from gymnasium.vector import AutoresetMode

from clipnav.envs.base.infos import check_batch, check_instr_ids, check_loaded_for, start_episodes
from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.episode import without_turns
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.submissions.checks import SubmissionCheck, check_submission, read_submission
from clipnav.envs.submissions.ground_truth import GroundTruth
from clipnav.envs.worlds import World
from clipnav.storage.errors import UserError
from clipnav.storage.features.view_grid import NUM_HEADINGS, STEP
from clipnav.storage.records import read_records
from clipnav.viewer.trace.building import (
    Setting,
    TraceDecision,
    build_trace,
    candidate_views,
    candidates,
    unknown_words,
    visible_objects,
    word_attention,
)
from clipnav.viewer.trace.format import KnownMap, Trace, trace_file_name, write_trace

# Arrays with a row per live row of the batch, see `FollowerAgent.explain` and `MapAgent.explain`.
Explanation = dict[str, np.ndarray | None]


def trace_of_path(
    setting: Setting, episode: Episode, graph: NavGraph, path: Sequence[str], stopped: bool = True
) -> Trace:
    """Build the trace of a walk."""
    heading, elevation = episode.heading, 0.0
    decisions = []
    for here, there in pairwise(path):
        places = [candidate.viewpoint for candidate in candidates(graph, here)]
        action = 1 + places.index(there) if there in places else None
        decisions.append(TraceDecision(here, heading, elevation, action))
        if action is not None:
            heading, elevation = arrival(graph, here, action)
    decisions.append(TraceDecision(path[-1], heading, elevation, 0 if stopped else None))
    return build_trace(setting, episode, graph, decisions, "stopped" if stopped else "under way")


def arrival(graph: NavGraph, viewpoint: str, action: int) -> tuple[float, float]:
    """Return heading and elevation after an action: those of the view that faced the candidate."""
    view = int(candidate_views(graph)[graph.index(viewpoint), action - 1])
    return view % NUM_HEADINGS * STEP, (view // NUM_HEADINGS - 1) * STEP


def traces_of_submission(
    path: Path, ground_truth: GroundTruth, world: World, dataset: str
) -> tuple[list[Trace], SubmissionCheck]:
    """Return the traces of a submission file, and the result of checking it.

    Turns in place are omitted. The agent has the name of the file.
    """
    records = read_submission(path)
    checked = check_submission(
        path, records, ground_truth.episodes, ground_truth.graphs, ground_truth.counted
    )
    walked = checked.trajectories
    if not walked:
        found = "; ".join(map(str, checked.findings)) or "it is empty"
        raise UserError(f"{path}: no walk that can be shown: {found}")
    return [
        trace_of_path(
            Setting(path.stem, world, dataset, ground_truth.split_of[episode.instr_id]),
            episode,
            ground_truth.graphs[episode.scan],
            without_turns(walked[episode.instr_id]),
        )
        for episode in ground_truth.episodes
        if episode.instr_id in walked
    ], checked


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
    """Run several agents on the same episodes and record their decisions."""
    return {name: record(env, agent, instr_ids, name=name) for name, agent in agents.items()}


def _check_replaceable(folder: Path, instr_ids: Sequence[str], setting: Setting) -> None:
    for instr_id in instr_ids:
        path = folder / trace_file_name(instr_id)
        hint = "delete it, or record into another folder"
        for found in read_records(path, Trace, hint) if path.is_file() else ():
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
    decisions: list[list[TraceDecision]] = [[] for _ in instr_ids]
    while live.size:
        actions = np.zeros(env.num_envs, int)
        actions[live] = agent.act(observation, info, live)
        explained = explanation(agent)
        for place, row in enumerate(live.tolist()):
            details = {key: rows[place] for key, rows in explained.items() if rows is not None}
            decisions[row].append(
                _decision_of(env, observation, info, row, int(actions[row]), details)
            )
        observation, _, stopped, truncated, info = env.step(actions)
        live = live[~stopped[live]]
        if truncated[live].any():
            break
    for row in live.tolist():  # cut off: nothing was decided where they stand
        decisions[row].append(_decision_of(env, observation, info, row, None, {}))
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


def _decision_of(
    env: VlnVectorEnv,
    observation: dict[str, Any],
    info: dict[str, Any],
    row: int,
    action: int | None,
    details: Mapping[str, Any],
) -> TraceDecision:
    """Return the decision of one row of a batch.

    Args:
        details: Details of the action by name, see `Explanation`; empty if the agent did not choose
            one.
    """
    words = details.get("word_attention")
    if words is not None:
        ids = observation["instruction"][row]
        words = word_attention(env.tokenizer, str(info["instruction"][row]), ids, words)
    known = details.get("known_map")
    pointed, objects = -1, ()
    if action is not None and action >= env.nav_world.num_actions:
        pointed, action = action - env.nav_world.num_actions, 0
    if env.objects is not None:
        node = env.nav_world.node(str(info["scan"][row]), str(info["viewpoint"][row]))
        objects = visible_objects(env.objects, node, pointed, int(info["target_object"][row]))
    possible = action is None or observation["action_mask"][row][action]
    return TraceDecision(
        viewpoint=str(info["viewpoint"][row]),
        heading=float(observation["heading"][row, 0]),
        elevation=float(observation["elevation"][row, 0]),
        action=action if possible else None,
        probabilities=details.get("probabilities"),
        value=float(details["value"]) if "value" in details else None,
        word_attention=words,
        view_attention=details.get("view_attention"),
        known_map=None if known is None else msgspec.convert(known, KnownMap),
        objects=objects,
    )


def walk_freely(
    env: VlnVectorEnv, agent: RecordedAgent, name: str, episode: Episode, max_steps: int
) -> Trace:
    """Let an agent follow an instruction that no split contains."""
    own = VlnVectorEnv(
        dataclasses.replace(env.split, name="", episodes=[episode]),
        num_envs=1,
        settings=dataclasses.replace(env.settings, max_episode_steps=max_steps),
        autoreset_mode=AutoresetMode.DISABLED,
    )
    (trace,) = record(own, agent, [episode.instr_id], name=name)
    unknown = unknown_words(env.tokenizer, episode.instruction)
    return msgspec.structs.replace(trace, unknown_words=unknown)
