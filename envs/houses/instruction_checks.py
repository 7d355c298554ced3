"""Check the instructions of built-in episodes with a symbolic follower, and print statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.envs.episodes.annotations import GuideRecord, PathRecord
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.houses.building.sets import HouseSet, set_of
from clipnav.envs.houses.instructions.annotation_files import (
    ANSWERS,
    guide_path,
    r2r_path,
    read_annotations,
)
from clipnav.envs.houses.language.acts import EDGE_RANGES, TURNS, Act
from clipnav.envs.houses.language.grammar import parse
from clipnav.envs.houses.language.grammars.languages import language_of
from clipnav.envs.houses.language.grammars.short_english import short_english
from clipnav.envs.houses.language.sight import Sight
from clipnav.envs.houses.language.symbolic_follower import follow, follow_without_lookahead
from clipnav.envs.houses.language.walking import Walk, agrees
from clipnav.envs.houses.survey.routes import Routes
from clipnav.envs.houses.survey.visibility import Survey
from clipnav.envs.metrics import SUCCESS_THRESHOLD, score_path
from clipnav.storage.errors import UserError, shortened
from clipnav.storage.progress import progress_bar

RANDOM_WALKS = 8  # number of random walks without lookahead per RxR-style text
OTHER_TEXTS = 4  # number of other texts that an R2R-style episode is tried with
Json = dict[str, Any]


@dataclass(frozen=True)
class InstructionCheck:
    """Result of following one instruction; success means within 3 m of the goal.

    Attributes:
        is_parsed: Whether the grammar accepts the text.
        is_success: Whether the symbolic follower succeeds.
        is_clear: Whether all interpretations of the text succeed.
        ndtw: nDTW of the follower's path.
        without_lookahead: Success rate of `RANDOM_WALKS` random walks without lookahead; nan for
            R2R-style texts.
        other_texts: Number of texts of other episodes of the house that were tried.
        other_successes: Number of those texts that lead to the goal of this episode.
    """

    is_parsed: bool
    is_success: bool
    is_clear: bool
    ndtw: float
    without_lookahead: float = np.nan
    other_texts: int = 0
    other_successes: int = 0


def survey_cached_house(scan: str) -> Survey:
    """Survey a built-in house from the cache, at the viewpoints of its graph."""
    from clipnav.connectivity import read_connectivity
    from clipnav.envs.houses.building.house import house_cache_dir, is_saved, load_house
    from clipnav.envs.houses.survey.visibility import survey_house
    from clipnav.envs.panoramas.ray_tracer import RayTracer

    home, cache = set_of(scan), house_cache_dir()
    if not is_saved(home.specs[scan], cache):
        raise FileNotFoundError(
            f"{cache}: {scan} is missing or was built from other seeds; "
            f"build it with clipnav build-houses --set {home.name} --scans {scan}"
        )
    house = load_house(scan, cache)
    records = read_connectivity(scan, home.connectivity_dir)
    return survey_house(house, RayTracer(house.scene), records)


def check_rxr(
    survey: Survey, graph: NavGraph, records: Sequence[Json], seed: int = 0
) -> list[InstructionCheck]:
    """Check the RxR-style records of one house.

    Each episode is also tried with the texts of all other episodes in its language whose goals are
    more than 3 m from its own goal. `seed` is that of the walks without lookahead.
    """
    sight, routes = Sight(survey), Routes.of(survey)
    indices = {name: number for number, name in enumerate(survey.viewpoints)}
    parsed = [parse(language_of(record["language"]), record["instruction"]) for record in records]
    rng = np.random.default_rng(seed)
    checks = []
    for record, acts in zip(records, parsed, strict=True):
        start, goal = indices[record["path"][0]], indices[record["path"][-1]]
        followed = follow(sight, acts or [], start, record["heading"])
        near = routes.lengths[:, goal] <= SUCCESS_THRESHOLD
        random_ends = [
            follow_without_lookahead(sight, acts or [], start, record["heading"], rng)[-1]
            for _ in range(RANDOM_WALKS)
        ]
        ends = [
            follow(sight, other_acts or [], start, record["heading"]).path[-1]
            for other, other_acts in zip(records, parsed, strict=True)
            if other["language"][:2] == record["language"][:2]
            and not near[indices[other["path"][-1]]]
        ]
        checks.append(
            InstructionCheck(
                acts is not None,
                bool(near[followed.path[-1]]),
                followed.is_complete and bool(near[list(followed.ends)].all()),
                _ndtw(graph, survey, followed.path, record),
                float(near[random_ends].mean()),
                len(ends),
                int(near[ends].sum()) if ends else 0,
            )
        )
    return checks


def check_r2r(survey: Survey, graph: NavGraph, records: Sequence[Json]) -> list[InstructionCheck]:
    """Check each instruction of the R2R-style records of one house.

    R2R-style texts do not describe every edge, so that their follower takes the shortest path that
    fits most of their acts. Each episode is also tried with the texts of the next `OTHER_TEXTS`
    records whose goals are elsewhere.
    """
    sight, routes = Sight(survey), Routes.of(survey)
    indices = {name: number for number, name in enumerate(survey.viewpoints)}
    goals = [indices[record["path"][-1]] for record in records]
    checks = []
    for number, record in enumerate(records):
        start = indices[record["path"][0]]
        near = routes.lengths[:, goals[number]] <= SUCCESS_THRESHOLD
        following = [*range(number + 1, len(records)), *range(number)]
        others = [other for other in following if not near[goals[other]]][:OTHER_TEXTS]
        for text_number, text in enumerate(record["instructions"]):
            acts = parse(short_english(), text)
            paths = best_paths(sight, routes, acts or [], start)
            walk = min(paths, key=sight.length)
            other_texts = [
                parse(short_english(), records[other]["instructions"][text_number])
                for other in others
            ]
            ends = [
                min(best_paths(sight, routes, other_acts or [], start), key=sight.length)[-1]
                for other_acts in other_texts
            ]
            checks.append(
                InstructionCheck(
                    acts is not None,
                    bool(near[walk[-1]]),
                    bool(near[[path[-1] for path in paths]].all()),
                    _ndtw(graph, survey, walk, record),
                    other_texts=len(ends),
                    other_successes=int(near[ends].sum()) if ends else 0,
                )
            )
    return checks


def best_paths(sight: Sight, routes: Routes, acts: Sequence[Act], start: int) -> list[Walk]:
    """Return the shortest paths from a viewpoint that fit the most acts in their order."""
    paths = list(routes.from_start(start))
    scores = np.array([_fitting_acts(sight, acts, path) for path in paths])
    return [paths[number] for number in np.flatnonzero(scores == scores.max())]


def _fitting_acts(sight: Sight, acts: Sequence[Act], path: Walk) -> int:
    """Return the largest number of acts that segments of a path fit, ordered by their start.

    One edge can fit several acts: leaving a room and entering another one use the same edge.
    """
    most = np.zeros(len(path), int)  # indexed by the position where the last act begins
    for act in acts:
        longer = most.copy()
        for first, _ in _segments(sight, act, path):
            longer[first] = max(longer[first], most[: first + 1].max() + 1)
        most = np.maximum.accumulate(longer)
    return int(most.max())


def _segments(sight: Sight, act: Act, path: Walk) -> list[tuple[int, int]]:
    """Return the first and last position of all segments of a path that fit an act."""
    goal = len(path) - 1
    if act.kind == "stop":
        return [(goal, goal)] if agrees(sight, act, path[-1:], 0.0) else []
    if act.kind in TURNS:
        return [
            (position, position)
            for position in range(1, goal)
            if sight.leads_to(
                act.kind,
                act.side,
                sight.heading(path[position], path[position + 1]),
                sight.heading(path[position - 1], path[position]),
            )
        ]
    fewest, most = EDGE_RANGES[act.kind]
    return [
        (first, last)
        for first in range(goal)
        for last in range(first + fewest, min(first + most, goal) + 1)
        if agrees(sight, act, path[first : last + 1], 0.0)
    ]


def _ndtw(graph: NavGraph, survey: Survey, path: Walk, record: Json) -> float:
    walked = [survey.viewpoints[viewpoint] for viewpoint in path]
    return float(score_path(graph, walked, record["path"])["ndtw"])


def check_set(
    house_set: HouseSet, scans: Sequence[str], data_dir: Path | None = None, seed: int = 0
) -> str:
    """Check the annotations of some houses of a set, with a progress bar."""
    data_dir, graphs = data_dir or house_set.data_dir, house_set.connectivity_dir
    splits = dict.fromkeys(split for scan in scans for split in house_set.splits_of(scan))
    annotations = {split: _records(data_dir, split) for split in splits}
    checks: dict[tuple[str, str], list[InstructionCheck]] = {}
    for scan in progress_bar(scans, desc="houses", unit="houses"):
        survey, graph = survey_cached_house(scan), NavGraph.load(scan, graphs)
        for split in house_set.splits_of(scan):
            short, long = (
                [record for record in records if record["scan"] == scan]
                for records in annotations[split]
            )
            _check_viewpoints([*short, *long], survey, data_dir)
            checks.setdefault((split, "R2R"), []).extend(check_r2r(survey, graph, short))
            checked = check_rxr(survey, graph, long, seed)
            for record, check in zip(long, checked, strict=True):
                checks.setdefault((split, record["language"]), []).append(check)
    rows = [_row(*key, group) for key, group in sorted(checks.items()) if group]
    if not rows:
        raise UserError(
            f"{data_dir}: the annotation files have no record of {', '.join(scans[:3])}"
            f"{', ...' if len(scans) > 3 else ''}; {_remedy(house_set)}"
        )
    return "\n".join([_HEADER, *rows])


def _records(data_dir: Path, split: str) -> tuple[list[Json], list[Json]]:
    """Read the R2R- and RxR-style records of a split, including the goals of test episodes."""
    folder = data_dir / ANSWERS if split == "test" else data_dir
    return (
        read_annotations(r2r_path(folder, split), PathRecord),
        read_annotations(guide_path(folder, split), GuideRecord),
    )


def _check_viewpoints(records: Sequence[Json], survey: Survey, data_dir: Path) -> None:
    """Check that the paths of a house consist of viewpoints of its graph."""
    known = set(survey.viewpoints)
    visited = [viewpoint for record in records for viewpoint in record["path"]]
    unknown = [viewpoint for viewpoint in visited if viewpoint not in known]
    if unknown:
        raise UserError(
            f"{data_dir}: paths of {survey.scan} have the viewpoint {shortened(unknown[0])!r}, "
            f"which its graph lacks; {_remedy(set_of(survey.scan))}"
        )


def _remedy(house_set: HouseSet) -> str:
    return f"write graphs and episodes with clipnav build-houses --set {house_set.name}"


_HEADER = (
    f"{'split':<12}{'texts':<8}{'number':>8}{'parsed':>8}{'success':>9}{'clear':>8}{'nDTW':>8}"
    f"{'no lookahead':>14}{'other texts':>13}"
)


def _row(split: str, kind: str, checks: Sequence[InstructionCheck]) -> str:
    """Return one row of the table; shares are in per cent."""
    shares = [
        100 * float(np.mean([getattr(check, name) for check in checks]))
        for name in ("is_parsed", "is_success", "is_clear", "ndtw")
    ]
    without_lookahead = 100 * float(np.mean([check.without_lookahead for check in checks]))
    tried = sum(check.other_texts for check in checks)
    other_texts = 100 * sum(check.other_successes for check in checks) / max(tried, 1)
    widths = (8, 9, 8, 8)
    cells = "".join(f"{share:{width}.1f}" for share, width in zip(shares, widths, strict=True))
    lookahead = "" if np.isnan(without_lookahead) else f"{without_lookahead:.1f}"
    return f"{split:<12}{kind:<8}{len(checks):>8}{cells}{lookahead:>14}{other_texts:>13.1f}"
