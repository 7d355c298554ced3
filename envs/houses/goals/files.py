"""Build the episodes with goals of house sets, and write them in the published forms."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from clipnav.connectivity import read_connectivity
from clipnav.envs.houses.building.house import ensure_house, house_cache_dir, load_house
from clipnav.envs.houses.building.sets import HouseSet, set_of
from clipnav.storage import atomic_write, write_text
from clipnav.storage.errors import UserError
from clipnav.storage.gzip_files import DAMAGE, open_maybe_packed
from clipnav.storage.json_files import read_json
from clipnav.storage.locks import waiting_lock
from clipnav.storage.processes import run_jobs
from clipnav.storage.progress import progress_bar
from clipnav.training.interruption import interruption_message

if TYPE_CHECKING:
    from clipnav.envs.houses.building.house import HouseSpec

Json = dict[str, Any]

VERSION = 2  # part of the names of the cached files: increase it when the episodes change
_BOXES = "reverie/BBoxes.json.gz"
_TAG = 14
_HINT = "delete it; clipnav build-houses builds it again"


def build_goals(
    house_set: HouseSet,
    scans: Sequence[str],
    workers: int = 1,
    connectivity_dir: Path | None = None,
    data_dir: Path | None = None,
    rebuild: bool = False,
) -> None:
    """Write the episodes of REVERIE, SOON, CVDN and object goals, and the boxes of the objects.

    The houses and their graphs must exist. Finished houses are reused from the cache. Records of
    other scans in the folder stay.

    Args:
        connectivity_dir: Folder of the graphs; None means that of the set.
        data_dir: Output folder; None means that of the set.
        rebuild: Whether to make the goals anew that the cache has.
    """
    connectivity_dir = connectivity_dir or house_set.connectivity_dir
    data_dir = data_dir or house_set.data_dir
    specs = [house_set.specs[scan] for scan in scans]
    build = partial(_house_goals, connectivity_dir=connectivity_dir, rebuild=rebuild)
    results = run_jobs(build, specs, workers, "builds goals")
    bar = progress_bar(results, total=len(specs), desc="goals", unit="houses")
    with interruption_message(
        lambda: (
            f"the goals of {bar.n} of {len(specs)} houses are kept in {house_cache_dir()}; run the "
            "same command again to build the others"
        )
    ):
        built = {spec.scan: goals for spec, goals in bar}
    data_dir.mkdir(parents=True, exist_ok=True)
    with waiting_lock(data_dir):
        _write(data_dir, house_set.splits, built)


def _house_goals(spec: HouseSpec, connectivity_dir: Path, rebuild: bool = False) -> Json:
    """Return the boxes and the episodes of a house, from the cache unless `rebuild`."""
    cache = house_cache_dir()
    graph = connectivity_dir / f"{spec.scan}_connectivity.json"
    cached = cache / f"{spec.scan}.goals{VERSION}.json"
    ensure_house(spec, cache)
    with waiting_lock(cached):
        newest = max(path.stat().st_mtime for path in (graph, cache / f"{spec.scan}.json"))
        if not rebuild and cached.is_file() and cached.stat().st_mtime > newest:
            goals = read_json(cached, _HINT, dict[str, Any])
            if {"boxes", "observed", "splits"} <= goals.keys():
                return goals
            raise UserError(f"{cached}: damaged; {_HINT}")
        goals = _make_goals(spec, read_connectivity(spec.scan, connectivity_dir))
        write_text(cached, json.dumps(goals, ensure_ascii=False, separators=(",", ":")))
    return goals


def _make_goals(spec: HouseSpec, records: list[Json]) -> Json:
    """Return the boxes of a house, the viewpoints of each category, and the episodes by split."""
    from clipnav.envs.houses.goals.episodes import GoalEpisodes, Scenery
    from clipnav.envs.panoramas.ray_tracer import RayTracer

    house_set = set_of(spec.scan)
    house = load_house(spec.scan, house_cache_dir())
    scenery = Scenery.of(house, RayTracer(house.scene), records)
    episodes = GoalEpisodes(scenery, np.random.default_rng([spec.plan_seed, spec.style_seed, _TAG]))
    first = 1000 * house_set.number(spec.scan)
    return {
        "boxes": scenery.looks.records(spec.scan),
        "observed": episodes.observed(),
        "splits": {
            split: episodes.split(house_set.paths[split], first + 500 * (split == "val_seen"))
            for split in house_set.splits_of(spec.scan)
        },
    }


def _write(data_dir: Path, splits: Sequence[str], built: dict[str, Json]) -> None:
    """Merge the built houses into the files of a set."""

    def records(split: str, dataset: str) -> list[Json]:
        parts = (goals["splits"].get(split, {}) for goals in built.values())
        return [record for part in parts for record in part.get(dataset, ())]

    def is_other(record: Json) -> bool:
        return record["scan"] not in built

    boxes = {key: value for goals in built.values() for key, value in goals["boxes"].items()}
    path = data_dir / _BOXES
    if path.is_file():
        old = json.loads(_read(path))
        boxes |= {k: v for k, v in old.items() if k.rpartition("_")[0] not in built}
    _write_packed(path, _compact(dict(sorted(boxes.items()))))
    for split in splits:
        reverie = data_dir / "reverie" / f"REVERIE_{split}.json.gz"
        soon = data_dir / "soon" / f"{split}_enc_pseudo_obj_label.jsonl.gz"
        _merge(reverie, records(split, "reverie"), is_other)
        _merge(data_dir / "cvdn" / f"{split}.json.gz", records(split, "cvdn"), is_other)
        _merge(soon, records(split, "soon"), is_other)
        for scan, goals in built.items():
            if episodes := goals["splits"].get(split, {}).get("objectnav"):
                path = data_dir / "objectnav" / split / f"{scan}.json.gz"
                _write_packed(path, _lines([goals["observed"], *episodes]))


def _merge(path: Path, records: list[Json], is_other: Callable[[Json], bool]) -> None:
    """Replace the records of the built houses in a file of JSON or, by its suffix, JSON Lines."""
    is_lines = ".jsonl" in path.suffixes
    kept: list[Json] = []
    if path.is_file():
        text = _read(path)
        old = list(map(json.loads, text.splitlines())) if is_lines else json.loads(text)
        kept = list(filter(is_other, old))
    merged = sorted([*kept, *records], key=lambda record: record["scan"])
    lines = "".join(f"{_compact(record)}\n" for record in merged)
    _write_packed(path, lines if is_lines else _lines(merged))


def _read(path: Path) -> str:
    try:
        with open_maybe_packed(path) as file:
            return file.read().decode("utf-8")
    except (*DAMAGE, UnicodeDecodeError) as error:
        raise UserError(f"{path}: damaged ({error}); {_HINT}") from error


def _write_packed(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as partial:
        partial.write_bytes(gzip.compress(text.encode("utf-8"), mtime=0))


def _lines(records: list[Json]) -> str:
    return "[\n" + ",\n".join(map(_compact, records)) + "\n]\n"


def _compact(record: Json) -> str:
    return json.dumps(record, ensure_ascii=False, separators=(",", ":"))
