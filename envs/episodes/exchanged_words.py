"""Instructions handed to the wrong episodes: what an agent does then it owes to something else.

An agent that reads nothing meets sentences it was never made for; one that reads the words of
another path meets the same language, only that it leads nowhere.
"""

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from envs.episodes import Episode, base_language

_EXCHANGE = 71


def exchange_words(episodes: Sequence[Episode], seed: int) -> list[Episode]:
    """Give each episode the instruction of another one, in its language and on another path.

    Every instruction is given once.

    Args:
        episodes: Of a split.
        seed: Of the draw; what a language draws does not depend on which others there are.

    Returns:
        The episodes in their order, with other words.

    Raises:
        ValueError: More than half of the instructions in a language describe the same path.
    """
    exchanged = list(episodes)
    spoken = np.array([base_language(episode.language) for episode in episodes])
    for language in np.unique(spoken).tolist():
        places = np.flatnonzero(spoken == language)
        paths = np.array([episodes[place].path_id for place in places.tolist()])
        rng = np.random.default_rng([seed, _EXCHANGE, zlib.crc32(language.encode())])
        try:
            givers = places[_order_apart(paths, rng)]
        except ValueError as error:
            raise ValueError(f"instructions in language '{language}': {error}") from error
        for place, giver in zip(places.tolist(), givers.tolist(), strict=True):
            words = episodes[giver]
            exchanged[place] = replace(
                episodes[place],
                instruction=words.instruction,
                timed_instruction=words.timed_instruction,
            )
    return exchanged


def _order_apart(groups: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A random order (N,) of N things that puts none in the place of one of its own group (N,)."""
    count = len(groups)
    if 2 * np.unique(groups, return_counts=True)[1].max() > count:
        raise ValueError(
            f"{count} in all, of which more than half describe the same path, cannot be exchanged; "
            "take a larger split"
        )
    order = rng.permutation(count)
    while (wrong := np.flatnonzero(groups[order] == groups)).size:
        for place in wrong.tolist():
            other = rng.integers(count)
            order[[place, other]] = order[[other, place]]
    return order
