"""Chains: episodes that start where the walk of the episode before them has ended.

The annotated start of such an episode is the end of the annotated path before it. Trainings use it;
evaluations walk the episodes of a chain one after the other and move their starts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from clipnav.envs.episodes.episode import Episode
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.storage.errors import UserError


def chain_rounds(episodes: Sequence[Episode]) -> list[list[Episode]]:
    """Group episodes by the number of episodes before them in their chain.

    The episodes of a round can be walked when those of the rounds before have been walked. There is
    one round if no episode follows another one.
    """
    numbers: dict[str, int] = {}
    rounds: list[list[Episode]] = []
    for episode in episodes:
        number = numbers.get(episode.follows, -1) + 1
        numbers[episode.instr_id] = number
        if number == len(rounds):
            rounds.append([])
        rounds[number].append(episode)
    return rounds


def chain_ends(
    episodes: Sequence[Episode], walks: Mapping[str, Sequence[str]]
) -> dict[str, tuple[str, float]]:
    """Return the viewpoint where each episode ends and the heading 0, by instr_id.

    Args:
        walks: Viewpoints of walks by instr_id; an agent without a walk stays where it is.
    """
    ends: dict[str, tuple[str, float]] = {}
    for episode in episodes:
        start = ends.get(episode.follows, (episode.path[0], 0.0))
        walk = walks.get(episode.instr_id)
        ends[episode.instr_id] = (walk[-1], 0.0) if walk else start
    return ends


def moved(
    episodes: Sequence[Episode],
    graphs: Mapping[str, NavGraph],
    ends: Mapping[str, tuple[str, float]],
) -> list[Episode]:
    """Return episodes that start where those that they follow have ended.

    Their paths become shortest paths to the nearest viewpoint of the goal.

    Args:
        graphs: Graphs by scan.
        ends: Viewpoint and heading in radians at the end of walks, by instr_id. An episode that
            follows none of them keeps its start.
    """
    result = []
    for episode in episodes:
        if episode.follows in ends:
            (start, heading), graph = ends[episode.follows], graphs[episode.scan]
            path = graph.shortest_path(start, nearest(graph, start, episode.goal.viewpoints))
            episode = replace(episode, path=tuple(path), heading=heading)
        result.append(episode)
    return result


def nearest(graph: NavGraph, start: str, viewpoints: Sequence[str]) -> str:
    """Return the viewpoint with the shortest path from a start; the first of equally near ones."""
    return min(viewpoints, key=lambda viewpoint: graph.geodesic(start, viewpoint))


def check_no_chains(episodes: Sequence[Episode], option: str) -> None:
    """Refuse chains where episodes are not walked in their order."""
    if any(episode.follows for episode in episodes):
        raise UserError(
            f"{option}: its episodes start where others end, and only clipnav evaluate-agent "
            "without a search before the walk walks them in order"
        )
