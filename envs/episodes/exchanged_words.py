"""Ablation that gives each episode the instruction of another path.

An agent without instructions receives inputs that it was never trained on. Exchanged instructions
keep the distribution of the language and remove only the relation between words and path, so
whatever success is left does not come from the instructions.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from clipnav.envs.episodes import Episode, base_language
from clipnav.storage.errors import UserError
from clipnav.training.streams import Stream


def exchange_words(episodes: Sequence[Episode], seed: int) -> list[Episode]:
    """Give each episode the instruction of another path in the same language.

    Every instruction is used once.
    """
    exchanged = list(episodes)
    languages = np.array([base_language(episode.language) for episode in episodes])
    for language in np.unique(languages).tolist():
        receivers = np.flatnonzero(languages == language)
        paths = np.array([episodes[row].path_id for row in receivers.tolist()])
        rng = Stream.EXCHANGED_WORDS.rng(seed, zlib.crc32(language.encode()))
        try:
            givers = receivers[_permutation_across_groups(paths, rng)]
        except ValueError as error:
            raise UserError(f"instructions in language '{language}': {error}") from error
        for receiver, giver in zip(receivers.tolist(), givers.tolist(), strict=True):
            exchanged[receiver] = replace(
                episodes[receiver],
                instruction=episodes[giver].instruction,
                timed_instruction=episodes[giver].timed_instruction,
            )
    return exchanged


def _permutation_across_groups(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random permutation (N,) that maps no row to a row of the same group (N,)."""
    count = len(groups)
    if 2 * np.unique(groups, return_counts=True)[1].max() > count:
        raise UserError(
            f"more than half of the {count} instructions describe the same path, so they cannot be "
            "exchanged; use a larger split"
        )
    order = rng.permutation(count)
    while (wrong := np.flatnonzero(groups[order] == groups)).size:
        for row in wrong.tolist():
            other = rng.integers(count)
            order[[row, other]] = order[[other, row]]
    return order
