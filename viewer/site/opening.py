"""Sources given on the command line: runs, traces or submission files."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from clipnav.storage.errors import UserError, short_names
from clipnav.storage.gzip_files import DAMAGE, open_maybe_packed
from clipnav.training.settings import CONFIG
from clipnav.viewer.trace.format import FORMAT, Trace

Kind = Literal["run", "traces", "submission"]

_HEAD = 4096  # number of bytes that identify the format of a file


def kind_of(path: Path) -> Kind:
    """Return the kind of a file or folder."""
    if path.is_dir():
        return "run" if (path / CONFIG).is_file() else "traces"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file or folder; name a run, a folder of traces or a submission file"
        )
    with open_maybe_packed(path) as file:
        try:
            head = file.read(_HEAD)
        except DAMAGE as error:
            raise UserError(f"{path}: the compressed data is damaged ({error})") from error
    return "traces" if json.dumps(FORMAT).encode() in head else "submission"


def label_agents(
    traces_by_source: Mapping[Path, Sequence[Trace]],
) -> dict[tuple[Path, str], list[Trace]]:
    """Append the name of the source to the names of agents that occur in several sources.

    Returns:
        Traces by source and original agent name, in the order of the input. For example, the agent
        `follower` of the sources `one` and `two` becomes `follower one` and `follower two`. If the
        sources have episodes of an agent in common, and contain the same traces of those, as with
        a baseline, its name stays, and later sources keep only traces that earlier ones lack.
    """
    groups: dict[tuple[Path, str], list[Trace]] = {}
    for source, traces in traces_by_source.items():
        for trace in traces:
            groups.setdefault((source, trace.agent), []).append(trace)
    names = short_names(traces_by_source)
    by_agent: dict[str, list[list[Trace]]] = {}
    for (_, agent), group in groups.items():
        by_agent.setdefault(agent, []).append(group)
    shared = {agent for agent, same_name in by_agent.items() if _is_one_agent(same_name)}
    distinct: dict[tuple[Path, str], list[Trace]] = {}
    kept: set[tuple[str, ...]] = set()
    for (source, agent), group in groups.items():
        if agent in shared:
            new = {(agent, *_episode(one)): one for one in group}
            distinct[source, agent] = [one for key, one in new.items() if key not in kept]
            kept |= new.keys()
        else:
            name = f"{agent} {names[source]}"
            distinct[source, agent] = [msgspec.structs.replace(one, agent=name) for one in group]
    return distinct


def _is_one_agent(groups: Sequence[Sequence[Trace]]) -> bool:
    """Return whether groups of traces have episodes in common, and the same traces of those."""
    walked: dict[tuple[str, ...], Trace] = {}
    # The largest one first: others are often subsets, such as the episodes of one language.
    for group in sorted(groups, key=len, reverse=True):
        traces = {_episode(trace): trace for trace in group}
        common = traces.keys() & walked.keys()
        if (walked and not common) or any(traces[key] != walked[key] for key in common):
            return False
        walked |= traces
    return True


def _episode(trace: Trace) -> tuple[str, ...]:
    return trace.world, trace.dataset, trace.split, trace.instr_id


def first_agents(traces: Mapping[tuple[Path, str], Sequence[Trace]]) -> tuple[str, ...]:
    """Return the name of the first agent of each source, given `label_agents`."""
    first: dict[Path, str] = {}
    for (source, _), group in traces.items():
        if group:
            first.setdefault(source, group[0].agent)
    return tuple(dict.fromkeys(first.values()))
