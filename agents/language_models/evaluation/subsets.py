"""Balanced subsets of a split: paths are drawn, if possible with all their instructions."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from clipnav.envs.episodes import Episode, base_language
from clipnav.storage.errors import UserError
from clipnav.training.streams import Stream

T = TypeVar("T")


def balanced_subset(episodes: Sequence[Episode], count: int | None, seed: int) -> list[Episode]:
    """Draw episodes that are balanced over buildings and numbers of moves.

    The buildings take turns. Within a building the numbers of moves take turns, and each building
    begins with another one. As many paths are drawn as all their instructions require, but at least
    one of each building, or `count` if there are more buildings. If the paths have more than
    `count` instructions, they take turns, each beginning with another language.

    Args:
        episodes: Episodes of the split.
        count: Number of episodes; None for all.
        seed: Random seed.

    Returns:
        The episodes, in the order of the split.

    Raises:
        UserError: The split has fewer episodes.
    """
    if count is None:
        return list(episodes)
    if count > len(episodes):
        raise UserError(
            f"--episodes {count}: the split has {len(episodes)} episodes; name at most as many, or "
            "--episodes None for all"
        )
    rng = Stream.VLM_EPISODES.rng(seed)
    paths: dict[int, list[Episode]] = defaultdict(list)
    for episode in episodes:
        paths[episode.path_id].append(episode)
    least = min(count, len({episode.scan for episode in episodes}))
    drawn: list[list[Episode]] = []
    for path in _in_turns(list(paths.values()), rng):
        if len(drawn) >= least and sum(map(len, drawn)) >= count:
            break
        drawn.append(_with_languages_in_turns(path, len(drawn)))
    chosen = {episode.instr_id for episode in _round_robin(drawn)[:count]}
    return [episode for episode in episodes if episode.instr_id in chosen]


def subset_digest(instr_ids: Sequence[str]) -> str:
    """Return the SHA-256 of the ids of episodes, one a line."""
    return hashlib.sha256("".join(f"{name}\n" for name in instr_ids).encode()).hexdigest()


def _in_turns(paths: list[list[Episode]], rng: np.random.Generator) -> list[list[Episode]]:
    """Return paths in the order in which they are drawn."""
    cells: dict[str, dict[int, list[list[Episode]]]] = defaultdict(lambda: defaultdict(list))
    for path in paths:
        cells[path[0].scan][len(path[0].path)].append(path)
    queues = []
    scans = sorted(cells)
    for turn, number in enumerate(rng.permutation(len(scans)).tolist()):
        lengths = sorted(cells[scans[number]])
        offset = turn % len(lengths)
        groups = [cells[scans[number]][m] for m in lengths[offset:] + lengths[:offset]]
        shuffled = [[group[i] for i in rng.permutation(len(group))] for group in groups]
        queues.append(_round_robin(shuffled))
    return _round_robin(queues)


def _with_languages_in_turns(path: list[Episode], first: int) -> list[Episode]:
    """Return the instructions of a path with its languages in turn, beginning with a given one."""
    languages: dict[str, list[Episode]] = defaultdict(list)
    for episode in path:
        languages[base_language(episode.language)].append(episode)
    queues = list(languages.values())
    offset = first % len(queues)
    return _round_robin(queues[offset:] + queues[:offset])


def _round_robin(queues: list[list[T]]) -> list[T]:
    """Take one element of each queue in turn until all are empty."""
    longest = max(map(len, queues))
    return [queue[turn] for turn in range(longest) for queue in queues if turn < len(queue)]
