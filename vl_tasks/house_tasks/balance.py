"""Choice of examples whose wording alone does not reveal the answer."""

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Set
from dataclasses import dataclass
from operator import attrgetter
from typing import TypeVar

import numpy as np

from clipnav.vl_tasks.house_tasks.images import HouseImage

Item = TypeVar("Item")
Answers = Mapping[str, Set[str]]


@dataclass(frozen=True, slots=True)
class Example:
    """A question or a hypothesis about an image; its wording depends on kind and subject only.

    Attributes:
        kind: Kind of question or hypothesis, such as "colour".
        subject: Names that the wording contains; with the kind, they determine its meaning.
        answer: Answer in normalised VQA form, or the label of a hypothesis.
        image: The image.
    """

    kind: str
    subject: tuple[str, ...]
    answer: str
    image: HouseImage

    @property
    def wording(self) -> tuple[str, ...]:
        """Everything that the wording depends on."""
        return (self.kind, *self.subject)


def choose_balanced(
    candidates: Callable[[str], Iterable[Example]],
    count: int,
    min_answers: Mapping[str, int],
    rng: np.random.Generator,
    known: Answers | None = None,
) -> tuple[list[Example], dict[str, float]]:
    """Choose balanced examples of several kinds, about equally many of each kind.

    Args:
        candidates: Function that returns the candidates of a kind.
        min_answers: Minimum number of answers per subject, by kind. Later kinds fill the part of a
            share that earlier kinds leave unused.
        known: Answers to choose examples of, by kind, such as those of the training examples; None:
            all answers.
    """
    wording, answer = attrgetter("wording"), attrgetter("answer")
    chosen: list[Example] = []
    for number, (kind, least) in enumerate(min_answers.items()):
        share = (count - len(chosen)) // (len(min_answers) - number)
        items = candidates(kind)
        if known is not None:
            answers = known.get(kind, set())
            items = (item for item in items if item.answer in answers)
        chosen += balanced(items, wording, answer, share, rng, least)
    chosen.sort(key=lambda example: example.image.image_id)
    kinds = {kind: [one for one in chosen if one.kind == kind] for kind in min_answers}
    chances = {kind: chance(own, wording, answer) for kind, own in kinds.items() if own}
    return chosen, {**chances, "all": chance(chosen, wording, answer)}


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
        sizes = [len(members) for members in group.values()]
        answers = {n: sum(size >= n for size in sizes) for n in sizes}
        enough = (n for n, number in answers.items() if number >= min_answers)
        count = max(enough, key=lambda n: n * answers[n], default=0)
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
