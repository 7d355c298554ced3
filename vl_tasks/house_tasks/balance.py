"""Choosing examples so that the words alone do not tell the answer."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

import numpy as np

Item = TypeVar("Item")


def balanced(
    items: Iterable[Item],
    key: Callable[[Item], Hashable],
    answer: Callable[[Item], Hashable],
    most: int,
    rng: np.random.Generator,
    answers: int = 2,
) -> list[Item]:
    """Choose items so that under each key all its answers are equally frequent.

    Under a key, the number of items per answer is the one that keeps most items; answers with fewer
    are left out. Who knows the key alone is then right once in as many answers as the key has.

    Args:
        items: Candidates.
        key: What somebody sees who does not see the picture.
        answer: What he wants to know.
        most: Items to choose; fewer are chosen when there are fewer.
        rng: Draws the items, and the keys that lose some.
        answers: A key with fewer answers is left out.
    """
    groups: dict[Hashable, dict[Hashable, list[Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        groups[key(item)][answer(item)].append(item)
    rows: list[list[Item]] = []  # one item for each answer of a key
    rounds: list[int] = []
    for group in groups.values():
        count = _best_count([len(found) for found in group.values()], answers)
        kept = [
            [found[k] for k in rng.permutation(len(found))[:count]]
            for found in group.values()
            if len(found) >= count > 0
        ]
        rows += [list(row) for row in zip(*kept, strict=True)]
        rounds += range(count)
    # First one row of every key, then a second one, so that frequent keys do not crowd out others.
    order = np.lexsort([rng.random(len(rows)), np.array(rounds, int)])
    chosen: list[Item] = []
    for place in order.tolist():
        if len(chosen) + len(rows[place]) <= most:
            chosen += rows[place]
    return chosen


def chance(items: Iterable[Item], key: Callable[[Item], Hashable], answer: Callable) -> float:
    """Share of right answers of somebody who knows the commonest answer under each key."""
    groups: dict[Hashable, dict[Hashable, int]] = defaultdict(lambda: defaultdict(int))
    for item in items:
        groups[key(item)][answer(item)] += 1
    total = sum(sum(group.values()) for group in groups.values())
    return sum(max(group.values()) for group in groups.values()) / max(total, 1)


def _best_count(sizes: list[int], answers: int) -> int:
    """Items per answer that keep most items; 0 if there are too few answers."""
    kept = {n: n * sum(size >= n for size in sizes) for n in sizes if _enough(sizes, n, answers)}
    return max(kept, key=lambda n: kept[n], default=0)


def _enough(sizes: list[int], count: int, answers: int) -> bool:
    return sum(size >= count for size in sizes) >= answers
