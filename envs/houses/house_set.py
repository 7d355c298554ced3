"""Build house sets with their navigation graphs and episodes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from clipnav.envs.houses.building.house import House, HouseSpec, house_cache_dir
from clipnav.envs.houses.building.sets import (
    HOUSE_SETS,
    MINI,
    HouseSet,
    expand_scans,
    set_of,
    unknown_house,
)
from clipnav.envs.houses.instructions.annotation_files import (
    ANSWERS,
    guide_path,
    json_text,
    merge_guide,
    merge_r2r,
    r2r_path,
)
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.json_files import read_json
from clipnav.storage.locks import waiting_lock
from clipnav.storage.processes import run_jobs
from clipnav.storage.progress import progress_bar
from clipnav.training.interruption import interruption_message

if TYPE_CHECKING:
    from clipnav.envs.graphs.routes import Routes
    from clipnav.envs.houses.instructions.writing import TextWriter
    from clipnav.envs.houses.survey.visibility import Survey

__all__ = [
    "TRAIN_SCANS",
    "UNSEEN_SCANS",
    "build_missing",
    "build_navigation",
    "build_set",
    "expand_scans",
    "navigate",
]

# The shipped houses.
TRAIN_SCANS: tuple[str, ...] = MINI.scans["train"]
UNSEEN_SCANS: tuple[str, ...] = MINI.scans["val_unseen"]

GOALS_PER_START = 4
TEXTS = 3  # R2R-style texts of a path
_EPISODE_TAG = 12
_RXR_TAG = 13

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
    """Build houses in the cache and write their graphs and episodes; show a progress bar.

    Houses that an interrupted run finished are reused from the cache. A house that another process
    is building is awaited. Records of other scans in the two folders stay. Episodes of the test
    split have no goals; the subfolder `answers` contains them with their goals.

    Args:
        connectivity_dir: Output folder of `<scan>_connectivity.json` and `scans.txt`; None means
            the folder of the set.
        data_dir: Output folder of `R2R_<split>.json` and the RxR guides; None means the folder of
            the set.
    """
    scans = tuple(scans) or tuple(house_set.specs)
    unknown = [scan for scan in scans if scan not in house_set.specs]
    if unknown:
        raise UserError(unknown_house(unknown[0], house_set))
    connectivity_dir = connectivity_dir or house_set.connectivity_dir
    data_dir = data_dir or house_set.data_dir
    built = _build_all([house_set.specs[scan] for scan in scans], workers, rebuild)
    connectivity_dir.mkdir(parents=True, exist_ok=True)
    with waiting_lock(connectivity_dir):
        for scan in scans:
            path = connectivity_dir / f"{scan}_connectivity.json"
            text = json_text(built[scan]["connectivity"])
            # An unchanged graph keeps its modification time: renderings are compared with it.
            if not path.is_file() or path.read_text(encoding="utf-8") != text:
                write_text(path, text)
        names = {
            path.name.split("_connectivity")[0] for path in connectivity_dir.glob("*_conn*.json")
        }
        write_text(connectivity_dir / "scans.txt", "".join(f"{name}\n" for name in sorted(names)))
    if not house_set.splits:
        return
    data_dir.mkdir(parents=True, exist_ok=True)
    with waiting_lock(data_dir):
        for split in house_set.splits:
            rxr_records = [record for scan in scans for record in built[scan]["rxr"].get(split, [])]
            r2r_records = [record for scan in scans for record in built[scan].get(split, [])]
            answers_dir = data_dir / ANSWERS if split == "test" else data_dir
            answers_dir.mkdir(parents=True, exist_ok=True)
            if split == "test":
                public_guide = data_dir / "rxr_test_public_guide.jsonl.gz"
                merge_guide(public_guide, scans, list(map(_without_goal, rxr_records)))
                merge_r2r(r2r_path(data_dir, split), scans, list(map(_without_goal, r2r_records)))
            merge_guide(guide_path(answers_dir, split), scans, rxr_records)
            merge_r2r(r2r_path(answers_dir, split), scans, r2r_records)


def build_missing(scans: Sequence[str], workers: int = 1) -> None:
    """Build the houses that have no navigation graph, which may be of several sets.

    Arguments and errors are as for `build_set`.
    """
    for house_set in HOUSE_SETS.values():
        missing = tuple(
            scan
            for scan in dict.fromkeys(scans)
            if scan in house_set.specs
            and not (house_set.connectivity_dir / f"{scan}_connectivity.json").is_file()
        )
        if missing:
            build_set(house_set, missing, workers)


def _without_goal(record: Json) -> Json:
    """Return the published form of a test record: its path has only the start viewpoint."""
    public_record = {**record, "path": record["path"][:1]}
    for field in ("distance", "alignment"):
        public_record.pop(field, None)
    return public_record


def _build_all(specs: Sequence[HouseSpec], workers: int, rebuild: Rebuild) -> dict[str, Json]:
    """Build graphs and episodes in worker processes with a progress bar; return them by scan."""
    _forget(specs, rebuild)
    build = partial(build_navigation, rebuild=rebuild)
    results = run_jobs(build, specs, workers, "builds houses")
    bar = progress_bar(results, total=len(specs), desc="houses", unit="houses")
    again = "again" if rebuild == "nothing" else "without --rebuild"
    with interruption_message(
        lambda: (
            f"{bar.n} of {len(specs)} houses are finished and kept in {house_cache_dir()}; "
            f"run the same command {again} to build the others"
        )
    ):
        return {spec.scan: navigation for spec, navigation in bar}


def _forget(specs: Sequence[HouseSpec], rebuild: Rebuild) -> None:
    """Delete what is to be built again, so that a run that resumes this one does not reuse it."""
    if rebuild == "nothing":
        return
    cache = house_cache_dir()
    for spec in specs:
        cached = cache / f"{spec.scan}.navigation.json"
        with waiting_lock(cached):  # another process may be building it
            cached.unlink(missing_ok=True)
            if rebuild == "houses":
                (cache / f"{spec.scan}.json").unlink(missing_ok=True)


def build_navigation(spec: HouseSpec, rebuild: Rebuild = "nothing") -> Json:
    """Return the graph and the episodes of one house, from the cache if possible."""
    cache = house_cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    cached = cache / f"{spec.scan}.navigation.json"
    with waiting_lock(cached):
        return _navigation(spec, rebuild, cached)


def _navigation(spec: HouseSpec, rebuild: Rebuild, cached: Path) -> Json:
    from clipnav.envs.houses.building.house import ensure_house, is_saved, load_house

    cache = cached.parent
    side_file = cache / f"{spec.scan}.json"  # the last file that is written of a house
    if rebuild == "houses" or not is_saved(spec, cache):
        ensure_house(spec, cache, rebuild=rebuild == "houses")
    elif rebuild == "nothing" and cached.exists() and _is_newer(cached, side_file):
        return _read_navigation(cached, set_of(spec.scan))
    navigation = navigate(load_house(spec.scan, cache))
    write_text(cached, json_text(navigation))
    return navigation


def _read_navigation(path: Path, house_set: HouseSet) -> Json:
    """Read the result of `navigate` from the cache."""
    hint = "delete it; the next run builds it again"
    navigation = read_json(path, hint)
    kinds = {"connectivity": list, "rxr": dict, **dict.fromkeys(house_set.splits, list)}
    for key, kind in kinds.items():
        if not (isinstance(navigation, dict) and isinstance(navigation.get(key), kind)):
            raise UserError(f"{path}: damaged, it has no {kind.__name__} '{key}'; {hint}")
    return navigation


def _is_newer(path: Path, other: Path) -> bool:
    return path.stat().st_mtime > other.stat().st_mtime


def navigate(house: House, house_set: HouseSet | None = None) -> Json:
    """Place viewpoints in a house and write its episodes; see `build_navigation`.

    Args:
        house_set: Set of the house; by default the one that has its name.
    """
    from clipnav.envs.graphs.routes import Routes
    from clipnav.envs.houses.graph.viewpoints import place_viewpoints
    from clipnav.envs.houses.instructions.rxr_episodes import rxr_records
    from clipnav.envs.houses.instructions.writing import TextWriter
    from clipnav.envs.houses.survey.routes import choose_episodes
    from clipnav.envs.houses.survey.visibility import survey_house
    from clipnav.envs.panoramas.ray_tracer import RayTracer

    scan = house.spec.scan
    house_set = house_set or set_of(scan)
    tracer = RayTracer(house.scene)
    records = place_viewpoints(house, tracer)
    if not house_set.paths:
        return {"connectivity": records, "rxr": {}}
    survey = survey_house(house, tracer, records)
    routes = Routes.of(survey.cameras, survey.edges)
    rng = np.random.default_rng([house.spec.plan_seed, house.spec.style_seed, _EPISODE_TAG])
    writer = TextWriter(survey, routes, rng)
    counts = {split: house_set.paths[split] for split in house_set.splits_of(scan)}
    navigation: Json = {"connectivity": records, **{split: [] for split in house_set.splits}}
    taken: set[tuple[int, int]] = set()
    for split, count in counts.items():
        episodes = choose_episodes(
            survey,
            routes,
            count,
            GOALS_PER_START,
            taken,
            lambda path: _episode(writer, survey, routes, path),
            rng,
        )
        first_id = 1000 * house_set.number(scan) + 500 * (split == "val_seen")
        navigation[split] = [
            {**episode, "path_id": first_id + k} for k, episode in enumerate(episodes)
        ]
    rng = np.random.default_rng([house.spec.plan_seed, house.spec.style_seed, _RXR_TAG])
    paths = {split: house_set.rxr_paths[split] for split in counts}
    navigation["rxr"] = rxr_records(survey, routes, paths, house_set.number(scan), rng)
    return navigation


def _episode(
    writer: TextWriter, survey: Survey, routes: Routes, path: tuple[int, ...]
) -> Json | None:
    """Return the R2R record of a path without its id, or None if a text cannot be written.

    The extra field "alignment" contains, for each clause of each instruction, a list [first
    character, last character + 1, first position in the path, last position, mentioned objects
    ...].
    """
    heading = round(float(writer.rng.uniform(0, 2 * np.pi)), 3)
    texts = writer.short(path, heading, TEXTS)
    if not texts:
        return None
    return {
        "scan": survey.scan,
        "path_id": -1,
        "path": [survey.viewpoints[viewpoint] for viewpoint in path],
        "distance": round(float(routes.lengths[path[0], path[-1]]), 2),
        "heading": heading,
        "instructions": [text.instruction.text for text in texts],
        "alignment": [text.instruction.alignment for text in texts],
    }
