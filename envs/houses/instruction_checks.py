"""Check the instructions of built-in episodes with symbolic followers, and print statistics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from clipnav.envs.episodes.annotations import GuideRecord, PathRecord
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.graphs.routes import Routes
from clipnav.envs.houses.building.sets import HouseSet, set_of
from clipnav.envs.houses.give_aways import tell_apart
from clipnav.envs.houses.instructions.annotation_files import (
    ANSWERS,
    guide_path,
    r2r_path,
    read_annotations,
)
from clipnav.envs.houses.language.grammar import parse
from clipnav.envs.houses.language.grammars.languages import R2R_TAG, language_of
from clipnav.envs.houses.language.sight import Sight
from clipnav.envs.houses.language.symbolic_follower import follow, follow_online
from clipnav.envs.houses.survey.visibility import Survey
from clipnav.envs.metrics import SUCCESS_THRESHOLD, score_path
from clipnav.storage.errors import UserError, truncate
from clipnav.storage.progress import progress_bar

_OTHER_STARTS = 4  # number of other episodes of the house that a text is tried in
Json = dict[str, Any]
_HEADER = (
    f"{'split':<12}{'texts':<8}{'number':>8}{'parsed':>8}{'success':>9}{'clear':>8}{'online':>8}"
    f"{'nDTW':>8}{'other starts':>14}"
)


@dataclass(frozen=True)
class InstructionCheck:
    """Result of following one instruction; success means within 3 m of the goal.

    Attributes:
        is_parsed: Whether the grammar accepts the text.
        is_success: Whether the symbolic follower, which knows the whole map, succeeds.
        is_clear: Whether all interpretations of the text succeed.
        is_online_success: Whether an agent without a map succeeds, which never turns back.
        ndtw: nDTW of the symbolic follower's path.
        other_starts: Number of other episodes of the house that the text was tried in.
        other_successes: Number of those episodes in which it leads to the goal.
    """

    is_parsed: bool
    is_success: bool
    is_clear: bool
    is_online_success: bool
    ndtw: float
    other_starts: int = 0
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


def check_texts(
    survey: Survey, graph: NavGraph, records: Sequence[Json]
) -> list[tuple[str, InstructionCheck]]:
    """Check the texts of R2R- or RxR-style records of one house; return (kind of text, check).

    The kind is "R2R" or RxR's language. Each text is followed from the start of its record, and
    from the starts of `_OTHER_STARTS` records whose goals are elsewhere.
    """
    sight, routes = Sight(survey), Routes.of(survey.cameras, survey.edges)
    indices = {name: number for number, name in enumerate(survey.viewpoints)}
    paths = [tuple(indices[viewpoint] for viewpoint in record["path"]) for record in records]
    is_near = routes.lengths <= SUCCESS_THRESHOLD
    checks = []
    for number, (record, path) in enumerate(zip(records, paths, strict=True)):
        following = [*range(number + 1, len(records)), *range(number)]
        others = [other for other in following if not is_near[path[-1], paths[other][-1]]]
        for kind, tag, text in _texts(record):
            acts = parse(language_of(tag), text)
            followed = follow(sight, acts or [], path[0], record["heading"])
            online = follow_online(sight, acts or [], path[0], record["heading"])
            ends = [
                follow(sight, acts or [], paths[other][0], records[other]["heading"]).path[-1]
                for other in others[:_OTHER_STARTS]
            ]
            hits = [
                is_near[end, paths[other][-1]] for end, other in zip(ends, others, strict=False)
            ]
            walked = [survey.viewpoints[viewpoint] for viewpoint in followed.path]
            check = InstructionCheck(
                acts is not None,
                bool(is_near[followed.path[-1], path[-1]]),
                followed.is_complete and bool(is_near[list(followed.ends), path[-1]].all()),
                bool(is_near[online[-1], path[-1]]),
                float(score_path(graph, walked, record["path"])["ndtw"]),
                len(hits),
                int(np.sum(hits)),
            )
            checks.append((kind, check))
    return checks


def _texts(record: Json) -> list[tuple[str, str, str]]:
    """Return the texts of a record: (kind, tag of the language, text)."""
    if "instruction" in record:
        return [(record["language"], record["language"], record["instruction"])]
    return [("R2R", R2R_TAG, text) for text in record["instructions"]]


def check_set(house_set: HouseSet, scans: Sequence[str], data_dir: Path | None = None) -> str:
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
            visited = {viewpoint for record in [*short, *long] for viewpoint in record["path"]}
            if unknown := sorted(visited - set(survey.viewpoints)):
                raise UserError(
                    f"{data_dir}: paths of {scan} have the viewpoint {truncate(unknown[0])!r}, "
                    f"which its graph lacks; {_hint(house_set)}"
                )
            for records in (short, long):
                for kind, check in check_texts(survey, graph, records):
                    checks.setdefault((split, kind), []).append(check)
    rows = [_row(*key, group) for key, group in sorted(checks.items()) if group]
    if not rows:
        raise UserError(
            f"{data_dir}: the annotation files have no record of {', '.join(scans[:3])}"
            f"{', ...' if len(scans) > 3 else ''}; {_hint(house_set)}"
        )
    return "\n".join([_HEADER, *rows])


def compare_texts(
    ours: Path, scans: Sequence[str], theirs: Path, give_aways: int, seed: int
) -> str:
    """Compare the R2R-style texts of some houses with people's; see `give_aways.tell_apart`.

    Args:
        ours: Annotation file of the houses.
        theirs: Annotation file of people's instructions, in R2R's form.
        give_aways: Number of features to list.
    """
    records = [record for record in read_annotations(ours, PathRecord) if record["scan"] in scans]
    found = tell_apart(records, read_annotations(theirs, PathRecord), give_aways, seed)
    lines = [
        f"{found.texts} texts of each side; naive Bayes tells them apart in "
        f"{100 * found.words:.1f} % by words, {100 * found.pairs:.1f} % by words and pairs",
        f"{'% of texts':<28}{'houses':>8}{'theirs':>8}",
        *(
            f"{one.feature:<28}{100 * one.ours:8.1f}{100 * one.theirs:8.1f}"
            for one in found.give_aways
        ),
    ]
    return "\n".join(lines)


def _records(data_dir: Path, split: str) -> tuple[list[Json], list[Json]]:
    """Read the R2R- and RxR-style records of a split, including the goals of test episodes."""
    folder = data_dir / ANSWERS if split == "test" else data_dir
    return (
        read_annotations(r2r_path(folder, split), PathRecord),
        read_annotations(guide_path(folder, split), GuideRecord),
    )


def _hint(house_set: HouseSet) -> str:
    return f"write graphs and episodes with clipnav build-houses --set {house_set.name}"


def _row(split: str, kind: str, checks: Sequence[InstructionCheck]) -> str:
    """Return one row of the table; shares are in per cent."""
    shares = [
        100 * float(np.mean([getattr(check, name) for check in checks]))
        for name in ("is_parsed", "is_success", "is_clear", "is_online_success", "ndtw")
    ]
    tried = sum(check.other_starts for check in checks)
    shares.append(100 * sum(check.other_successes for check in checks) / max(tried, 1))
    widths = (8, 9, 8, 8, 8, 14)
    cells = "".join(f"{share:{width}.1f}" for share, width in zip(shares, widths, strict=True))
    return f"{split:<12}{kind:<8}{len(checks):>8}{cells}"
