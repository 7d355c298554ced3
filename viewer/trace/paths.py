"""Traces of walks with known viewpoints only, such as those of submission files."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from clipnav.envs.episodes import Episode
from clipnav.envs.episodes.paths import without_turns
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.submissions.checks import SubmissionCheck, check_submission, read_submission
from clipnav.envs.submissions.ground_truth import GroundTruth
from clipnav.envs.worlds import World
from clipnav.storage.errors import UserError
from clipnav.storage.features.view_grid import NUM_HEADINGS, STEP
from clipnav.viewer.trace.building import (
    Decision,
    Setting,
    build_trace,
    candidate_views,
    candidates,
)
from clipnav.viewer.trace.format import Trace


def trace_of_path(
    setting: Setting, episode: Episode, graph: NavGraph, path: Sequence[str], stopped: bool = True
) -> Trace:
    """Build the trace of a walk.

    Args:
        setting: Agent, world, dataset and split of the walk.
        episode: Episode of the walk.
        graph: Navigation graph of its building.
        path: Walked viewpoints, the start included. A step without an edge has no action.
        stopped: Whether the walk ends with a stop.
    """
    heading, elevation = episode.heading, 0.0
    decisions = []
    for here, there in pairwise(path):
        action = _action(graph, here, there)
        decisions.append(Decision(here, heading, elevation, action))
        if action is not None:
            heading, elevation = arrival(graph, here, action)
    decisions.append(Decision(path[-1], heading, elevation, 0 if stopped else None))
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

    Args:
        path: The file, in any form that `clipnav.envs.submissions.checks` reads.
        ground_truth: Episodes and graphs of the submitted splits.
        world: World of the graphs.
        dataset: Dataset of the episodes.

    Raises:
        FileNotFoundError: There is no such file.
        UserError: The file is not JSON, or contains no usable walk; the message names the fault.
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


def _action(graph: NavGraph, here: str, there: str) -> int | None:
    places = [candidate.viewpoint for candidate in candidates(graph, here)]
    return 1 + places.index(there) if there in places else None
