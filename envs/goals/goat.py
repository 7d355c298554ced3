"""GOAT on graphs: chains of goals, found one after the other without a return to the start.

After GOAT-Bench (Ram81/goat-bench), whose episodes are in continuous space. Here each goal of a
chain is an episode that starts where the walk to the goal before it has ended, reached or not; see
`clipnav.envs.episodes.chains`. The chains are made of the descriptions of SOON and the categories
of ObjectNav in the built-in houses when a split is loaded. There are no goals that are images.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.envs.episodes import Episode, load_episodes
from clipnav.envs.episodes.chains import nearest
from clipnav.envs.goals.scores import Columns, GoalScores, Walked, official_efficiency
from clipnav.envs.goals.soon import SoonGoal
from clipnav.envs.graphs.goal import Goal
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.metrics import Metric
from clipnav.envs.metrics.table import by_name
from clipnav.envs.worlds import WorldFiles

SIZE = 6  # goals of a chain; GOAT-Bench has 5 to 10
EDGES = (2, 15)  # of the shortest path between two goals
KINDS = ("description", "object")  # of the goals of a chain, in turns


@dataclass(frozen=True)
class ChainGoal(Goal):
    """Goal of a chain.

    Attributes:
        chain: Name of the chain.
        kind: "description" or "object".
    """

    chain: str = ""
    kind: str = ""


@dataclass(frozen=True)
class _Wanted:
    """A goal of a building, with a text of each language.

    Attributes:
        target: Object or category.
        texts: Episodes of another dataset by language; the first text of each.
    """

    target: str
    texts: Mapping[str, Episode]

    @property
    def first(self) -> Episode:
        return next(iter(self.texts.values()))

    @property
    def viewpoints(self) -> tuple[str, ...]:
        return self.first.goal.viewpoints


@dataclass(frozen=True)
class ChainRecord:
    """A goal of a chain in all languages.

    Attributes:
        wanted: The goal.
        path: Shortest path from the goal before it.
        heading: Heading at the start in radians.
        chain: Number of the chain.
        index: Index of the goal in the chain.
        number: Index of the record among all.
    """

    wanted: _Wanted
    path: tuple[str, ...]
    heading: float
    chain: int
    index: int
    number: int

    @property
    def scan(self) -> str:
        """Name of the building."""
        return self.wanted.first.scan

    @property
    def name(self) -> str:
        """Name of the record in error messages."""
        return f"chain {self.chain}, goal {self.index}"

    def episodes(self) -> Iterator[Episode]:
        """Yield an episode per language."""
        for language, text in self.wanted.texts.items():
            chain = f"{self.chain}_{language}"
            goal = ChainGoal(
                self.wanted.viewpoints,
                radius=0.0,
                category=text.goal.category,
                chain=chain,
                kind=KINDS[self.index % len(KINDS)],
            )
            yield replace(
                text,
                instr_id=f"{chain}_{self.index}",
                path_id=self.number,
                path=self.path,
                heading=self.heading,
                target=goal,
                follows=f"{chain}_{self.index - 1}" if self.index else "",
            )


def read_chains(path: Path, split: str, files: WorldFiles, timed: bool) -> Sequence[ChainRecord]:
    """Make the chains of a split from SOON and ObjectNav; see `DatasetSpec.read`."""
    described = _wanted(load_episodes("soon", split, files))
    named = _wanted(load_episodes("objectnav", split, files))
    records: list[ChainRecord] = []
    for scan, descriptions in described.items():
        graph = NavGraph.load(scan, files.connectivity_dir)
        for goals in _chains(graph, descriptions, named.get(scan, [])):
            first = goals[0][0].first
            heading = first.heading
            for index, (wanted, walk) in enumerate(goals):
                place = wanted, walk, heading
                records.append(ChainRecord(*place, first.path_id, index, len(records)))
                start, end = map(graph.index, walk[-2:])
                x, y, _ = graph.positions[end] - graph.positions[start]
                heading = float(np.arctan2(x, y) % (2 * np.pi))
    return records


def _wanted(episodes: Sequence[Episode]) -> dict[str, list[_Wanted]]:
    """Return the goals of each building: each path of SOON, and each category of ObjectNav."""
    found: dict[tuple[str, Any], dict[str, Episode]] = defaultdict(dict)
    for episode in episodes:
        key = episode.scan, episode.goal.category or episode.path_id
        found[key].setdefault(episode.language, episode)
    by_scan: dict[str, list[_Wanted]] = defaultdict(list)
    for (scan, _), texts in found.items():
        goal = next(iter(texts.values())).goal
        target = str(goal.boxes) if isinstance(goal, SoonGoal) else str(goal.category)
        by_scan[scan].append(_Wanted(target, texts))
    return by_scan


def _chains(
    graph: NavGraph, descriptions: list[_Wanted], objects: list[_Wanted]
) -> Iterator[list[tuple[_Wanted, tuple[str, ...]]]]:
    """Yield chains of goals with the paths between them; each goal is in one chain.

    The next goal is the first one left of its kind that is neither at hand nor in the chain.
    """
    left = {kind: list(goals) for kind, goals in zip(KINDS, (descriptions, objects), strict=True)}
    while left[KINDS[0]]:
        place = left[KINDS[0]][0].first.path[0]
        chain: list[tuple[_Wanted, tuple[str, ...]]] = []
        for index in range(SIZE):
            known = {wanted.target for wanted, _ in chain}
            options = left[KINDS[index % len(KINDS)]]
            for wanted in options:
                path = graph.shortest_path(place, nearest(graph, place, wanted.viewpoints))
                if wanted.target not in known and EDGES[0] < len(path) <= EDGES[1] + 1:
                    break
            else:
                return
            options.remove(wanted)
            chain.append((wanted, tuple(path)))
            place = path[-1]
        yield chain


def _score(walked: Walked, episode: Episode, answer: Any, definition: str) -> dict[str, float]:
    """Score the walk to a goal; success is an end at one of its viewpoints.

    An agent that rightly stays where it is has an SPL of 1.
    """
    to_goal = walked.distances(episode.goal.viewpoints)
    success = float(to_goal[-1] == 0)
    return {
        "nav_error": float(to_goal[-1]),
        "oracle_error": float(to_goal.min()),
        "success": success,
        "oracle_success": float(to_goal.min() == 0),
        "shortest_path_length": float(to_goal[0]),
        "spl": success * official_efficiency(float(to_goal[0]), walked.length),
    }


def _joint(episodes: Sequence[Episode], columns: Mapping[str, np.ndarray]) -> Columns:
    """Return the scores of chains, at each of their goals.

    A chain that lacks goals, because they have no walk, is no success.
    """
    chains: dict[str, list[int]] = defaultdict(list)
    kinds = np.array([getattr(episode.goal, "kind", "") for episode in episodes])
    for row, episode in enumerate(episodes):
        chains[getattr(episode.goal, "chain", "")].append(row)
    names = ("chain_success", "chain_spl", *(f"{kind}_success" for kind in KINDS))
    scores = {name: np.zeros(len(episodes)) for name in names}
    success, length = columns["success"], columns["trajectory_length"]
    for rows in map(np.array, chains.values()):
        whole = float(len(rows) == SIZE and success[rows].all())
        ideal = float(columns["shortest_path_length"][rows].sum())
        scores["chain_success"][rows] = whole
        scores["chain_spl"][rows] = whole * official_efficiency(ideal, float(length[rows].sum()))
        for kind in KINDS:
            own = success[rows[kinds[rows] == kind]]
            scores[f"{kind}_success"][rows] = own.mean() if len(own) else 0.0
    return scores


SCORES = GoalScores(
    definitions=("viewpoint",),
    score=_score,
    metrics=by_name(
        Metric("SR_description", "description_success"),
        Metric("SR_object", "object_success"),
        Metric("SR_chain", "chain_success"),
        Metric("SPL_chain", "chain_spl"),
    ),
    joint=_joint,
)
