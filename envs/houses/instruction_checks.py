"""Follows the words of finished episodes with ground-truth sight, to say how good they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from envs.graphs.nav_graph import NavGraph
from envs.houses.building.sets import HouseSet, set_of
from envs.houses.instructions.annotation_files import (
    ANSWERS,
    guide_path,
    r2r_path,
    read_annotations,
)
from envs.houses.language.acts import EDGES, TURNS, Act
from envs.houses.language.grammar import parse
from envs.houses.language.languages import language_of
from envs.houses.language.short_english import short_english
from envs.houses.language.sight import Sight
from envs.houses.language.symbolic_follower import follow, follow_at_once
from envs.houses.language.walking import Walk, agrees
from envs.houses.survey.routes import Routes
from envs.houses.survey.visibility import Survey
from envs.metrics import SUCCESS_THRESHOLD, score_path

GUESSES = 8  # walks of one who takes an RxR-style text clause by clause
STRANGERS = 4  # other texts with which an R2R-style one is compared
Json = dict[str, Any]


@dataclass(frozen=True)
class Check:
    """What became of one text.

    Attributes:
        is_read: Whether the grammar could read it.
        arrives: Whether its follower ended within 3 m of the goal.
        is_clear: Whether all ways to understand it end there.
        fidelity: nDTW of the follower's path.
        at_once: Share of `GUESSES` walks by chance that end there without looking ahead.
        others: Number of other texts of the house that were tried in its place.
        others_arrive: How many of them led to within 3 m of the goal.
    """

    is_read: bool
    arrives: bool
    is_clear: bool
    fidelity: float
    at_once: float = np.nan
    others: int = 0
    others_arrive: int = 0


def survey_cached(scan: str) -> Survey:
    """Survey of a built-in house in the cache, at the viewpoints of its graph.

    Raises:
        FileNotFoundError: The house is not in the cache, or has no graph.
    """
    from connectivity import read_connectivity
    from envs.houses.building.house import house_cache_dir, is_saved, load_house
    from envs.houses.survey.visibility import survey_house
    from envs.panoramas.ray_tracer import RayTracer

    home, cache = set_of(scan), house_cache_dir()
    if not is_saved(home.specs[scan], cache):
        raise FileNotFoundError(
            f"{cache}: no {scan}, or one of other seeds than those of the set; "
            f"scripts/build_houses.py --set {home.name} --scans {scan} builds it"
        )
    house = load_house(scan, cache)
    records = read_connectivity(scan, home.connectivity_dir)
    return survey_house(house, RayTracer(house.scene), records)


def check_rxr(survey: Survey, graph: NavGraph, records: Sequence[Json]) -> list[Check]:
    """Checks RxR-style records of one house.

    Each is also tried with the words of all others in its language whose goals are further than
    3 m from its own.
    """
    sight, routes = Sight(survey), Routes.of(survey)
    places = {name: number for number, name in enumerate(survey.viewpoints)}
    read = [parse(language_of(one["language"]), one["instruction"]) for one in records]
    rng = np.random.default_rng(0)
    checks = []
    for record, acts in zip(records, read, strict=True):
        start, goal = places[record["path"][0]], places[record["path"][-1]]
        followed = follow(sight, acts or [], start, record["heading"])
        near = routes.lengths[:, goal] <= SUCCESS_THRESHOLD
        guessed = [
            follow_at_once(sight, acts or [], start, record["heading"], rng)[-1]
            for _ in range(GUESSES)
        ]
        ends = [
            follow(sight, other_acts or [], start, record["heading"]).path[-1]
            for other, other_acts in zip(records, read, strict=True)
            if other["language"][:2] == record["language"][:2]
            and not near[places[other["path"][-1]]]
        ]
        checks.append(
            Check(
                acts is not None,
                bool(near[followed.path[-1]]),
                followed.is_complete and bool(near[list(followed.ends)].all()),
                _fidelity(graph, survey, followed.path, record),
                float(near[guessed].mean()),
                len(ends),
                int(near[ends].sum()) if ends else 0,
            )
        )
    return checks


def check_r2r(survey: Survey, graph: NavGraph, records: Sequence[Json]) -> list[Check]:
    """Checks each instruction of R2R-style records of one house.

    They leave edges untold, so that their follower takes the shortest path that fits most of them.
    Each is also tried with the words of the next `STRANGERS` records whose goals are elsewhere.
    """
    sight, routes = Sight(survey), Routes.of(survey)
    places = {name: number for number, name in enumerate(survey.viewpoints)}
    goals = [places[record["path"][-1]] for record in records]
    checks = []
    for number, record in enumerate(records):
        start = places[record["path"][0]]
        near = routes.lengths[:, goals[number]] <= SUCCESS_THRESHOLD
        turned = [*range(number + 1, len(records)), *range(number)]
        strangers = [other for other in turned if not near[goals[other]]][:STRANGERS]
        for place, text in enumerate(record["instructions"]):
            acts = parse(short_english(), text)
            paths = best_paths(sight, routes, acts or [], start)
            walk = min(paths, key=sight.length)
            others = [parse(short_english(), records[s]["instructions"][place]) for s in strangers]
            ends = [
                min(best_paths(sight, routes, one or [], start), key=sight.length)[-1]
                for one in others
            ]
            checks.append(
                Check(
                    acts is not None,
                    bool(near[walk[-1]]),
                    bool(near[[path[-1] for path in paths]].all()),
                    _fidelity(graph, survey, walk, record),
                    others=len(ends),
                    others_arrive=int(near[ends].sum()) if ends else 0,
                )
            )
    return checks


def best_paths(sight: Sight, routes: Routes, acts: Sequence[Act], start: int) -> list[Walk]:
    """Shortest paths from a viewpoint that fit as many acts as possible in their order."""
    paths = list(routes.from_start(start))
    scores = np.array([_fitting_acts(sight, acts, path) for path in paths])
    return [paths[number] for number in np.flatnonzero(scores == scores.max())]


def _fitting_acts(sight: Sight, acts: Sequence[Act], path: Walk) -> int:
    """The largest number of acts that stretches of a path agree with, in the order they begin.

    One step may do what several acts say: who leaves a room enters another by the same door.
    """
    most = np.zeros(len(path), int)  # by the position at which the last act so far began
    for act in acts:
        longer = most.copy()
        for first, _ in _stretches(sight, act, path):
            longer[first] = max(longer[first], most[: first + 1].max() + 1)
        most = np.maximum.accumulate(longer)
    return int(most.max())


def _stretches(sight: Sight, act: Act, path: Walk) -> list[tuple[int, int]]:
    """First and last position of all stretches of a path that agree with an act."""
    goal = len(path) - 1
    if act.kind == "stop":
        return [(goal, goal)] if agrees(sight, act, path[-1:], 0.0) else []
    if act.kind in TURNS:
        return [
            (place, place)
            for place in range(1, goal)
            if sight.leads_to(
                act.kind,
                act.side,
                sight.heading(path[place], path[place + 1]),
                sight.heading(path[place - 1], path[place]),
            )
        ]
    fewest, most = EDGES[act.kind]
    return [
        (first, last)
        for first in range(goal)
        for last in range(first + fewest, min(first + most, goal) + 1)
        if agrees(sight, act, path[first : last + 1], 0.0)
    ]


def _fidelity(graph: NavGraph, survey: Survey, path: Walk, record: Json) -> float:
    walked = [survey.viewpoints[viewpoint] for viewpoint in path]
    return float(score_path(graph, walked, record["path"])["ndtw"])


def check_set(house_set: HouseSet, scans: Sequence[str], data_dir: Path | None = None) -> str:
    """Checks the annotations of houses of a set, which must lie in the cache; shows a bar.

    Args:
        house_set: The set.
        scans: Names of some of its houses.
        data_dir: Folder of their annotations; None means the set's own.

    Returns:
        A table with a row for each split and kind of text.

    Raises:
        FileNotFoundError: A house, its graph or a file of annotations is missing.
        ValueError: One of them is damaged.
    """
    from tqdm import tqdm

    data_dir, graphs = data_dir or house_set.data_dir, house_set.connectivity_dir
    splits = dict.fromkeys(split for scan in scans for split in house_set.splits_of(scan))
    told = {split: _records(data_dir, split) for split in splits}
    found: dict[tuple[str, str], list[Check]] = {}
    for scan in tqdm(scans, desc="houses", unit="house"):
        survey, graph = survey_cached(scan), NavGraph.load(scan, graphs)
        for split in house_set.splits_of(scan):
            short, long = told[split]
            records = [one for one in short if one["scan"] == scan]
            found.setdefault((split, "R2R"), []).extend(check_r2r(survey, graph, records))
            records = [one for one in long if one["scan"] == scan]
            for record, check in zip(records, check_rxr(survey, graph, records), strict=True):
                found.setdefault((split, record["language"]), []).append(check)
    rows = [_row(*key, checks) for key, checks in sorted(found.items()) if checks]
    return "\n".join([_HEADER, *rows])


def _records(data_dir: Path, split: str) -> tuple[list[Json], list[Json]]:
    """R2R- and RxR-style records of a split, with their goals."""
    folder = data_dir / ANSWERS if split == "test" else data_dir
    return read_annotations(r2r_path(folder, split)), read_annotations(guide_path(folder, split))


_HEADER = (
    f"{'split':<12}{'texts':<8}{'number':>8}{'read':>8}{'arrive':>8}{'clear':>8}{'nDTW':>8}"
    f"{'at once':>10}{'with others':>14}"
)


def _row(split: str, kind: str, checks: Sequence[Check]) -> str:
    """Shares in per cent, one line of the table."""
    shares = [
        100 * float(np.mean([getattr(check, name) for check in checks]))
        for name in ("is_read", "arrives", "is_clear", "fidelity")
    ]
    at_once = 100 * float(np.mean([check.at_once for check in checks]))
    tried = sum(check.others for check in checks)
    strangers = 100 * sum(check.others_arrive for check in checks) / max(tried, 1)
    cells = "".join(f"{share:8.1f}" for share in shares)
    guessed = "" if np.isnan(at_once) else f"{at_once:.1f}"
    return f"{split:<12}{kind:<8}{len(checks):>8}{cells}{guessed:>10}{strangers:>14.1f}"
