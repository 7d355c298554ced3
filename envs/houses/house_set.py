"""The built-in set of houses: their seeds and splits, their graphs and their episodes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from envs.houses.house import House, HouseSpec
from envs.houses.rxr_episodes import guide_path, merge_guide
from storage import write_text

if TYPE_CHECKING:
    from envs.houses.routes import Routes
    from envs.houses.visibility import Survey

# No seed occurs twice: unseen houses have plans and styles that no training house has.
HOUSE_SPECS: dict[str, HouseSpec] = {
    f"house_{n:02d}": HouseSpec(f"house_{n:02d}", plan_seed=1000 + n, style_seed=2000 + n)
    for n in range(40)
}
TRAIN_SCANS: tuple[str, ...] = tuple(HOUSE_SPECS)[:32]
UNSEEN_SCANS: tuple[str, ...] = tuple(HOUSE_SPECS)[32:]

DATA_DIR = Path(__file__).resolve().parent / "data"
SPLITS = ("train", "val_seen", "val_unseen")
TRAIN_PATHS, VAL_SEEN_PATHS, VAL_UNSEEN_PATHS = 80, 8, 40  # per house
# The same for RxR-style paths, each of which is told in three languages.
RXR_PATHS = {"train": 25, "val_seen": 2, "val_unseen": 12}
GOALS_PER_START = 4
FEWEST_VIEWPOINTS = 20
EPISODE_TAG = 12
RXR_TAG = 13

Rebuild = Literal["nothing", "paths", "houses"]
Json = dict[str, Any]


def build_set(
    connectivity_dir: Path,
    data_dir: Path,
    scans: Sequence[str] = tuple(HOUSE_SPECS),
    workers: int = 1,
    rebuild: Rebuild = "nothing",
) -> None:
    """Builds houses into the cache, their graphs and episodes into two folders, showing a bar.

    What an interrupted run finished is kept in the cache and taken up again. Records of other scans
    in the two folders stay.

    Args:
        connectivity_dir: Gets `<scan>_connectivity.json` and `scans.txt`.
        data_dir: Gets `R2R_<split>.json` and `rxr_<split>_guide.jsonl.gz`.
        scans: Names from `HOUSE_SPECS`.
        workers: Processes; the result does not depend on it.
        rebuild: What to make anew although it is in the cache: "paths" means graphs and episodes.

    Raises:
        ValueError: A scan is not in the set.
    """
    unknown = [scan for scan in scans if scan not in HOUSE_SPECS]
    if unknown:
        raise ValueError(f"no built-in house '{unknown[0]}'; there are house_00 to house_39")
    built = _built([HOUSE_SPECS[scan] for scan in scans], workers, rebuild)
    connectivity_dir.mkdir(parents=True, exist_ok=True)
    data_dir.mkdir(parents=True, exist_ok=True)
    for scan in scans:
        _write_json(connectivity_dir / f"{scan}_connectivity.json", built[scan]["connectivity"])
    names = {path.name.split("_connectivity")[0] for path in connectivity_dir.glob("*_conn*.json")}
    write_text(connectivity_dir / "scans.txt", "".join(f"{name}\n" for name in sorted(names)))
    for split in SPLITS:
        _merge_episodes(data_dir / f"R2R_{split}.json", split, built)
        records = [one for scan in scans for one in built[scan]["rxr"].get(split, [])]
        merge_guide(guide_path(data_dir, split), scans, records)


def _built(specs: Sequence[HouseSpec], workers: int, rebuild: Rebuild) -> dict[str, Json]:
    """Graphs and episodes by scan, made in several processes under a bar."""
    from tqdm import tqdm

    context = get_context("spawn")  # Embree and torch do not survive a fork
    built: dict[str, Json] = {}
    with (
        ProcessPoolExecutor(workers, mp_context=context) as pool,
        tqdm(total=len(specs), desc="houses", unit="house") as bar,
    ):
        jobs = {pool.submit(build_navigation, spec, rebuild): spec.scan for spec in specs}
        for job in as_completed(jobs):
            built[jobs[job]] = job.result()
            bar.update()
    return built


def build_navigation(spec: HouseSpec, rebuild: Rebuild = "nothing") -> Json:
    """Graph and episodes of one house, from the cache if they are there.

    Returns:
        "connectivity": its records; for each split the R2R records of this house; and "rxr": its
        RxR records by split.
    """
    from envs.houses.house import build_house, house_cache_dir, is_saved, load_house, save_house

    cache = house_cache_dir()
    kept = cache / f"{spec.scan}.navigation.json"
    house = cache / f"{spec.scan}.json"  # written last of a house's files
    if rebuild == "houses" or not is_saved(spec, cache):
        save_house(build_house(spec), cache)
    elif rebuild == "nothing" and kept.exists() and kept.stat().st_mtime > house.stat().st_mtime:
        navigation = json.loads(kept.read_text(encoding="utf-8"))
        if "rxr" in navigation:
            return navigation
    navigation = navigate(load_house(spec.scan, cache))
    _write_json(kept, navigation)
    return navigation


def navigate(house: House) -> Json:
    """Places viewpoints in a house and writes its episodes; see `build_navigation`."""
    from envs.houses.routes import Routes, choose_episodes
    from envs.houses.rxr_episodes import rxr_records
    from envs.houses.viewpoints import place_viewpoints
    from envs.houses.visibility import survey_house
    from envs.panoramas.ray_tracer import RayTracer

    scan = house.spec.scan
    tracer = RayTracer(house.scene)
    records = place_viewpoints(house, tracer)
    survey = survey_house(house, tracer, records)
    if len(survey.viewpoints) < FEWEST_VIEWPOINTS:
        raise ValueError(
            f"{scan}: only {len(survey.viewpoints)} viewpoints. Choose another plan seed than "
            f"{house.spec.plan_seed} in house_set.py"
        )
    routes = Routes.of(survey)
    rng = np.random.default_rng([house.spec.plan_seed, house.spec.style_seed, EPISODE_TAG])
    counts = (
        {"train": TRAIN_PATHS, "val_seen": VAL_SEEN_PATHS}
        if scan in TRAIN_SCANS
        else {"val_unseen": VAL_UNSEEN_PATHS}
    )
    navigation: Json = {"connectivity": records, **{split: [] for split in SPLITS}}
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
        first_id = 1000 * list(HOUSE_SPECS).index(scan) + 500 * (split == "val_seen")
        navigation[split] = [
            {**one, "path_id": first_id + number} for number, one in enumerate(episodes)
        ]
    rng = np.random.default_rng([house.spec.plan_seed, house.spec.style_seed, RXR_TAG])
    paths = {split: RXR_PATHS[split] for split in counts}
    navigation["rxr"] = rxr_records(survey, routes, paths, list(HOUSE_SPECS).index(scan), rng)
    return navigation


def _episode(
    survey: Survey, routes: Routes, path: tuple[int, ...], rng: np.random.Generator
) -> Json | None:
    """The R2R record of a path without its id, or None if no words mean it alone.

    The extra field "alignment" has, for each instruction, a list [first character, last character
    + 1, first position in the path, last position, objects spoken of ...] per clause.
    """
    from envs.houses.instructions import write_instructions

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


def _merge_episodes(path: Path, split: str, built: dict[str, Json]) -> None:
    """Puts the built scans' episodes into an R2R file in place of older ones of those scans."""
    kept: list[Json] = []
    if path.exists():
        kept = [one for one in json.loads(path.read_text("utf-8")) if one["scan"] not in built]
    fresh = [episode for navigation in built.values() for episode in navigation[split]]
    _write_json(path, sorted(kept + fresh, key=lambda one: one["path_id"]))


def _write_json(path: Path, value: list[Json] | Json) -> None:
    """Writes compact JSON, one list element a line so that versions compare well."""
    if isinstance(value, list):
        text = "[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in value) + "\n]\n"
    else:
        text = json.dumps(value, separators=(",", ":")) + "\n"
    write_text(path, text)


def expand_scans(names: Iterable[str]) -> list[str]:
    """Names of built-in houses from names and ranges such as "house_00-house_03".

    Raises:
        ValueError: A name is not in the set.
    """
    known = list(HOUSE_SPECS)
    scans: list[str] = []
    for name in names:
        first, _, last = name.partition("-")
        last = last or first
        for end in (first, last):
            if end not in known:
                raise ValueError(f"no built-in house '{end}'; there are {known[0]} to {known[-1]}")
        scans += known[known.index(first) : known.index(last) + 1]
    return list(dict.fromkeys(scans))
