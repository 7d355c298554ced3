"""Building sets of houses with their graphs and their episodes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from envs.houses.building.house import House, HouseSpec, house_cache_dir
from envs.houses.building.sets import HOUSE_SETS, MINI, HouseSet, set_of
from envs.houses.instructions.annotation_files import (
    ANSWERS,
    guide_path,
    json_text,
    merge_guide,
    merge_r2r,
    r2r_path,
)
from storage import write_text
from storage.json_files import read_json
from storage.locks import sole_maker
from storage.processes import run_jobs
from training.interruption import says_when_interrupted

if TYPE_CHECKING:
    from envs.houses.survey.routes import Routes
    from envs.houses.survey.visibility import Survey

__all__ = [
    "TRAIN_SCANS",
    "UNSEEN_SCANS",
    "build_navigation",
    "build_set",
    "expand_scans",
    "navigate",
]

# The houses that the project ships.
TRAIN_SCANS: tuple[str, ...] = MINI.scans["train"]
UNSEEN_SCANS: tuple[str, ...] = MINI.scans["val_unseen"]

GOALS_PER_START = 4
EPISODE_TAG = 12
RXR_TAG = 13

Rebuild = Literal["nothing", "paths", "houses"]
Json = dict[str, Any]


def build_set(
    house_set: HouseSet,
    scans: Sequence[str] = (),
    workers: int = 1,
    rebuild: Rebuild = "nothing",
    connectivity_dir: Path | None = None,
    data_dir: Path | None = None,
) -> None:
    """Builds houses into the cache, their graphs and episodes into two folders, showing a bar.

    What an interrupted run finished is kept in the cache and taken up again; a house that another
    process is building is waited for. Records of other scans in the two folders stay. Episodes of
    the test split have no goals; with their goals they lie in a folder of their own, `answers`.

    Args:
        house_set: The set.
        scans: Names of houses of the set; none means all.
        workers: Processes; the result does not depend on it.
        rebuild: What to make anew although it is in the cache: "paths" means graphs and episodes.
        connectivity_dir: Gets `<scan>_connectivity.json` and `scans.txt`; None means the set's own.
        data_dir: Gets `R2R_<split>.json` and the guides of RxR; None means the set's own.

    Raises:
        ValueError: A scan is not in the set, or a file in the cache or a folder is damaged.
        ChildProcessError: A process was killed.
    """
    scans = tuple(scans) or tuple(house_set.specs)
    unknown = [scan for scan in scans if scan not in house_set.specs]
    if unknown:
        raise ValueError(_unknown(unknown[0], house_set))
    connectivity_dir = connectivity_dir or house_set.connectivity_dir
    data_dir = data_dir or house_set.data_dir
    built = _build_all([house_set.specs[scan] for scan in scans], workers, rebuild)
    connectivity_dir.mkdir(parents=True, exist_ok=True)
    with sole_maker(connectivity_dir):
        _merge_graphs(connectivity_dir, scans, built)
    if not house_set.splits:
        return
    data_dir.mkdir(parents=True, exist_ok=True)
    with sole_maker(data_dir):
        for split in house_set.splits:
            _merge_split(data_dir, split, scans, built)


def _merge_graphs(connectivity_dir: Path, scans: Sequence[str], built: dict[str, Json]) -> None:
    """Puts the built scans' graphs into a folder, and the names of all that are there."""
    for scan in scans:
        path = connectivity_dir / f"{scan}_connectivity.json"
        text = json_text(built[scan]["connectivity"])
        # A graph that is as it was keeps its time, from which others tell what they made of it.
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
    names = {path.name.split("_connectivity")[0] for path in connectivity_dir.glob("*_conn*.json")}
    write_text(connectivity_dir / "scans.txt", "".join(f"{name}\n" for name in sorted(names)))


def _merge_split(data_dir: Path, split: str, scans: Sequence[str], built: dict[str, Json]) -> None:
    """Puts the built scans' episodes of a split into its files, the goals of a test split apart."""
    records = [one for scan in scans for one in built[scan]["rxr"].get(split, [])]
    episodes = [one for scan in scans for one in built[scan].get(split, [])]
    whole = data_dir / ANSWERS if split == "test" else data_dir
    whole.mkdir(parents=True, exist_ok=True)
    if split == "test":
        open_records = [_without_goal(one) for one in records]
        merge_guide(data_dir / "rxr_test_public_guide.jsonl.gz", scans, open_records)
        merge_r2r(r2r_path(data_dir, split), scans, [_without_goal(one) for one in episodes])
    merge_guide(guide_path(whole, split), scans, records)
    merge_r2r(r2r_path(whole, split), scans, episodes)


def _without_goal(record: Json) -> Json:
    """A record as test splits are published: the path is its start, and nothing tells the rest."""
    open_record = {**record, "path": record["path"][:1]}
    for field in ("distance", "alignment"):
        open_record.pop(field, None)
    return open_record


def _build_all(specs: Sequence[HouseSpec], workers: int, rebuild: Rebuild) -> dict[str, Json]:
    """Graphs and episodes by scan, made in several processes under a bar."""
    from tqdm import tqdm

    build = partial(build_navigation, rebuild=rebuild)
    made = run_jobs(build, specs, workers, "builds houses")
    bar = tqdm(made, total=len(specs), desc="houses", unit="house")
    with says_when_interrupted(
        lambda: (
            f"{bar.n} of {len(specs)} houses are finished and kept in {house_cache_dir()}; "
            "the same command, without --rebuild, builds the others"
        )
    ):
        return {spec.scan: navigation for spec, navigation in bar}


def build_navigation(spec: HouseSpec, rebuild: Rebuild = "nothing") -> Json:
    """Graph and episodes of one house, from the cache if they are there.

    Returns:
        "connectivity": its records; for each split the R2R records of this house; and "rxr": its
        RxR records by split.
    """
    cache = house_cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    kept = cache / f"{spec.scan}.navigation.json"
    with sole_maker(kept):
        return _navigation(spec, rebuild, kept)


def _navigation(spec: HouseSpec, rebuild: Rebuild, kept: Path) -> Json:
    from envs.houses.building.house import ensure_house, is_saved, load_house

    cache = kept.parent
    house = cache / f"{spec.scan}.json"  # written last of a house's files
    if rebuild == "houses" or not is_saved(spec, cache):
        ensure_house(spec, cache, rebuild=rebuild == "houses")
    elif rebuild == "nothing" and kept.exists() and kept.stat().st_mtime > house.stat().st_mtime:
        return read_json(kept, "delete it to have it made anew")
    navigation = navigate(load_house(spec.scan, cache))
    write_text(kept, json_text(navigation))
    return navigation


def navigate(house: House) -> Json:
    """Places viewpoints in a house and writes its episodes; see `build_navigation`."""
    from envs.houses.graph.viewpoints import place_viewpoints
    from envs.houses.instructions.rxr_episodes import rxr_records
    from envs.houses.survey.routes import Routes, choose_episodes
    from envs.houses.survey.visibility import survey_house
    from envs.panoramas.ray_tracer import RayTracer

    scan = house.spec.scan
    home = set_of(scan)
    tracer = RayTracer(house.scene)
    records = place_viewpoints(house, tracer)
    count = sum(record["included"] for record in records)
    if count < home.fewest_viewpoints:
        raise ValueError(
            f"{scan}: only {count} viewpoints. Choose another plan seed than "
            f"{house.spec.plan_seed} in sets.py"
        )
    if not home.paths:
        return {"connectivity": records, "rxr": {}}
    survey = survey_house(house, tracer, records)
    routes = Routes.of(survey)
    rng = np.random.default_rng([house.spec.plan_seed, house.spec.style_seed, EPISODE_TAG])
    counts = {split: home.paths[split] for split in home.splits_of(scan)}
    navigation: Json = {"connectivity": records, **{split: [] for split in home.splits}}
    taken: set[tuple[int, int]] = set()
    for split, count in counts.items():
        episodes = choose_episodes(
            survey,
            routes,
            count,
            GOALS_PER_START,
            taken,
            lambda path: _episode(survey, routes, path, rng),
            rng,
        )
        first_id = 1000 * home.number(scan) + 500 * (split == "val_seen")
        navigation[split] = [
            {**one, "path_id": first_id + number} for number, one in enumerate(episodes)
        ]
    rng = np.random.default_rng([house.spec.plan_seed, house.spec.style_seed, RXR_TAG])
    paths = {split: home.rxr_paths[split] for split in counts}
    navigation["rxr"] = rxr_records(survey, routes, paths, home.number(scan), rng)
    return navigation


def _episode(
    survey: Survey, routes: Routes, path: tuple[int, ...], rng: np.random.Generator
) -> Json | None:
    """The R2R record of a path without its id, or None if no words mean it alone.

    The extra field "alignment" has, for each instruction, a list [first character, last character
    + 1, first position in the path, last position, objects spoken of ...] per clause.
    """
    from envs.houses.instructions.instructions import write_instructions

    written = write_instructions(survey, routes, path, rng)
    if not written:
        return None
    return {
        "scan": survey.scan,
        "path_id": -1,
        "path": [survey.viewpoints[viewpoint] for viewpoint in path],
        "distance": round(float(routes.lengths[path[0], path[-1]]), 2),
        "heading": round(float(rng.uniform(0, 2 * np.pi)), 3),
        "instructions": [one.text for one in written],
        "alignment": [
            [[s.start, s.end, s.first, s.last, *s.things] for s in one.spans] for one in written
        ],
    }


def expand_scans(names: Iterable[str], house_set: HouseSet = MINI) -> list[str]:
    """Names of houses of a set from names and ranges such as "house_00-house_03".

    Raises:
        ValueError: A name is not in the set, or a range ends before it begins.
    """
    known = list(house_set.specs)
    scans: list[str] = []
    for name in names:
        first, _, last = name.partition("-")
        last = last or first
        for end in (first, last):
            if end not in known:
                raise ValueError(_unknown(end, house_set))
        found = known[known.index(first) : known.index(last) + 1]
        if not found:
            raise ValueError(f"'{name}' ends before it begins; write {last}-{first}")
        scans += found
    return list(dict.fromkeys(scans))


def _unknown(scan: str, house_set: HouseSet) -> str:
    known = list(house_set.specs)
    sets = ", ".join(HOUSE_SETS)
    return (
        f"no built-in house '{scan}' in the set '{house_set.name}'; there are {known[0]} to "
        f"{known[-1]}. The sets are {sets}"
    )
