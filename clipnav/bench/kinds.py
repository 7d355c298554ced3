"""The table of the kinds of parts, and what each of them provides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from clipnav.envs.metrics import Metric
from clipnav.storage.spec_table import Spec


@dataclass(frozen=True)
class RunOptions:
    """How a suite is run; none of it may change what an agent does.

    Attributes:
        batch_size: Number of episodes in a batch.
        device: Device of the agent.
        requests: Number of requests at a time.
        model: Name of a model behind a server.
        budget: Prices of a model, as fields of `BudgetConfig`.
    """

    batch_size: int = 256
    device: str = "cpu"
    requests: int = 8
    model: str | None = None
    budget: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Walked:
    """Answers of an agent to a part: walks, or texts.

    Attributes:
        answers: JSON value of each of the B items.
        scores: Scores (B,) by the short name of the metric.
        seconds: Time of the walks alone.
        usage: Requests, tokens and cost of a model.
    """

    answers: list[Any]
    scores: Mapping[str, np.ndarray]
    seconds: float
    usage: Mapping[str, float] = field(default_factory=dict)


class BenchPart(Protocol):
    """A loaded part: its items, and how answers to them are checked and scored."""

    @property
    def ids(self) -> list[str]:
        """Ids of the B items, in the order of results."""
        ...

    @property
    def data_sha256(self) -> str:
        """Digest of its data."""
        ...

    @property
    def metrics(self) -> Mapping[str, Metric]:
        """Metrics by short name; the first one ranks."""
        ...

    def clusters(self, kind: str) -> list[str]:
        """Return the building (or picture) of each item, or the path of each item."""
        ...

    def problems(self, answers: Sequence[Any]) -> dict[int, str]:
        """Return the problem of each answer that cannot be scored."""
        ...

    def scores(self, answers: Sequence[Any]) -> Mapping[str, np.ndarray]:
        """Return the scores (B,) of answers by the short name of the metric."""
        ...


def episode_clusters(episodes: Sequence[Any], kind: str) -> list[str]:
    """Return the building, or the path in its building, of each episode of any environment."""
    if kind == "building":
        return [episode.scan for episode in episodes]
    return [f"{episode.scan} {episode.path_id}" for episode in episodes]


@dataclass(frozen=True)
class KindSpec(Spec):
    """A row: what loads a part, and what lets an agent work on it.

    Attributes:
        load: Function of a part and a place that returns a `BenchPart`.
        walk: Function of suite, loaded part, entrant, seed and options that returns a `Walked`.
    """

    load: str
    walk: str


KINDS = {
    name: KindSpec(name, f"clipnav.bench.{name}:load", f"clipnav.bench.{name}:walk")
    for name in ("graph", "continuous", "model", "answers")
}
