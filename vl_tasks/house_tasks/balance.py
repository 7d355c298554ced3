"""Choosing examples so that the words alone do not tell the answer."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Protocol, TypeVar

import numpy as np

from vl_tasks.house_tasks.views import View

Item = TypeVar("Item")


class Said(Protocol):
    """A question or a hypothesis about a picture; kind and subject are all that its words say."""

    @property
    def kind(self) -> str:
        """What is asked or told, such as "colour"."""
        ...

    @property
    def subject(self) -> tuple[str, ...]:
        """Of what."""
        ...

    @property
    def view(self) -> View:
        """The picture."""
        ...


Words = TypeVar("Words", bound=Said)


def words_of(said: Said) -> tuple[str, ...]:
    """What somebody knows who does not see the picture."""
    return (said.kind, *said.subject)


def share_out(
    finders: Mapping[str, Callable[[], Iterable[Words]]],
    answer: Callable[[Words], Hashable],
    count: int,
    fewest: Mapping[str, int],
    rng: np.random.Generator,
) -> tuple[list[Words], dict[str, float]]:
    """Choose examples of several kinds, each balanced and of nearly equal number.

    Args:
        finders: By kind, what finds candidates; what a kind leaves over goes to those behind it.
        answer: What is to be told from the picture.
        count: Examples to choose; fewer are chosen where there are fewer.
        fewest: By kind, how many answers the same words must have.
        rng: Draws examples.

    Returns:
        The examples, by picture; and the chance of somebody who does not look, for each kind that
        there is and "all".
    """
    chosen: list[Words] = []
    for number, (kind, find) in enumerate(finders.items()):
        share = (count - len(chosen)) // (len(finders) - number)
        chosen += balanced(find(), words_of, answer, share, rng, fewest[kind])
    chosen.sort(key=lambda said: said.view.image_id)
    kinds = {kind: [said for said in chosen if said.kind == kind] for kind in finders}
    chances = {kind: chance(said, words_of, answer) for kind, said in kinds.items() if said}
    return chosen, {**chances, "all": chance(chosen, words_of, answer)}


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
