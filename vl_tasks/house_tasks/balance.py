"""Choice of examples whose wording alone does not reveal the answer."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Set
from typing import Protocol, TypeVar

import numpy as np

from clipnav.vl_tasks.house_tasks.images import HouseImage

Item = TypeVar("Item")


class Example(Protocol):
    """A question or a hypothesis about an image; its wording depends on kind and subject only."""

    @property
    def kind(self) -> str:
        """Kind of question or hypothesis, such as "colour"."""
        ...

    @property
    def subject(self) -> tuple[str, ...]:
        """Names that the wording contains."""
        ...

    @property
    def image(self) -> HouseImage:
        """The image."""
        ...


AnyExample = TypeVar("AnyExample", bound=Example)
Answers = Mapping[str, Set[Hashable]]


def wording_key(example: Example) -> tuple[str, ...]:
    """Return everything that the wording of an example depends on."""
    return (example.kind, *example.subject)


def choose_balanced(
    generators: Mapping[str, Callable[[], Iterable[AnyExample]]],
    answer: Callable[[AnyExample], Hashable],
    count: int,
    min_answers: Mapping[str, int],
    rng: np.random.Generator,
    known: Answers | None = None,
) -> tuple[list[AnyExample], dict[str, float]]:
    """Choose balanced examples of several kinds, about equally many of each kind.

    Args:
        generators: Functions that return the candidates of each kind. Later kinds fill the part of
            a share that earlier kinds leave unused.
        known: Answers to choose examples of, by kind, such as those of the training examples; None:
            all answers.
    """
    chosen: list[AnyExample] = []
    for number, (kind, generate) in enumerate(generators.items()):
        share = (count - len(chosen)) // (len(generators) - number)
        items = generate()
        if known is not None:
            answers = known.get(kind, set())
            items = (item for item in items if answer(item) in answers)
        chosen += balanced(items, wording_key, answer, share, rng, min_answers[kind])
    chosen.sort(key=lambda example: example.image.image_id)
    kinds = {kind: [one for one in chosen if one.kind == kind] for kind in generators}
    chances = {
        kind: chance(examples, wording_key, answer) for kind, examples in kinds.items() if examples
    }
    return chosen, {**chances, "all": chance(chosen, wording_key, answer)}


def balanced(
    items: Iterable[Item],
    key: Callable[[Item], Hashable],
    answer: Callable[[Item], Hashable],
    most: int,
    rng: np.random.Generator,
    min_answers: int = 2,
) -> list[Item]:
    """Choose items so that all answers under a key are equally frequent.

    The number of items per answer of a key is the one that keeps most items; rarer answers are
    dropped. The accuracy of a baseline that knows only the key is then one over the number of
    answers of the key.
    """
    groups: dict[Hashable, dict[Hashable, list[Item]]] = defaultdict(lambda: defaultdict(list))
    for item in items:
        groups[key(item)][answer(item)].append(item)
    rows: list[list[Item]] = []  # one item for each answer of a key
    rounds: list[int] = []
    for group in groups.values():
        count = _best_count([len(members) for members in group.values()], min_answers)
        kept = [
            [members[k] for k in rng.permutation(len(members))[:count]]
            for members in group.values()
            if len(members) >= count > 0
        ]
        rows += [list(row) for row in zip(*kept, strict=True)]
        rounds += range(count)
    # The first row of every key precedes the second rows, so that frequent keys do not displace
    # rare ones.
    order = np.lexsort([rng.random(len(rows)), np.array(rounds, int)])
    chosen: list[Item] = []
    for row in order.tolist():
        if len(chosen) + len(rows[row]) <= most:
            chosen += rows[row]
    return chosen


def chance(items: Iterable[Item], key: Callable[[Item], Hashable], answer: Callable) -> float:
    """Return the accuracy of a baseline that gives the most frequent answer under each key."""
    groups: dict[Hashable, dict[Hashable, int]] = defaultdict(lambda: defaultdict(int))
    for item in items:
        groups[key(item)][answer(item)] += 1
    total = sum(sum(group.values()) for group in groups.values())
    return sum(max(group.values()) for group in groups.values()) / max(total, 1)


def _best_count(sizes: list[int], min_answers: int) -> int:
    """Return the number of items per answer that keeps most items; 0 with too few answers."""
    answers = {n: sum(size >= n for size in sizes) for n in sizes}
    enough = (n for n, number in answers.items() if number >= min_answers)
    return max(enough, key=lambda n: n * answers[n], default=0)
