import collections
import json
import os
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest

from clipnav.connectivity import read_scans
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.houses import house_set
from clipnav.envs.houses.building import house
from clipnav.envs.houses.building.house import HouseSpec
from clipnav.envs.houses.building.sets import DATA_DIR, GALLERY, HOUSE_SETS, MINI, STANDARD, set_of
from clipnav.envs.houses.furnishing import rooms
from clipnav.envs.houses.graph import viewpoints
from clipnav.envs.houses.house_set import (
    GOALS_PER_START,
    TRAIN_SCANS,
    UNSEEN_SCANS,
    build_navigation,
    build_set,
    expand_scans,
    navigate,
)
from clipnav.envs.houses.instructions.annotation_files import read_annotations
from clipnav.envs.houses.lighting import baking
from clipnav.envs.houses.materials import textures
from clipnav.envs.panoramas import ray_tracer
from clipnav.envs.worlds import world_files
from clipnav.storage import file_sha256
from clipnav.storage.errors import UserError


@pytest.fixture(scope="module")
def shipped() -> dict[str, list[dict]]:
    return {
        split: json.loads((DATA_DIR / f"R2R_{split}.json").read_text("utf-8"))
        for split in MINI.splits
    }


def test_unseen_houses_share_no_seed_with_training_houses():
    assert len(TRAIN_SCANS) >= 24
    assert len(UNSEEN_SCANS) >= 6
    for seed in ("plan_seed", "style_seed"):
        seeds = [getattr(spec, seed) for spec in MINI.specs.values()]
        assert len(set(seeds)) == len(MINI.specs)


def test_ranges_of_scans_are_expanded():
    assert expand_scans(["house_02-house_04", "house_03", "house_31"]) == [
        "house_02",
        "house_03",
        "house_04",
        "house_31",
    ]
    with pytest.raises(ValueError, match="no built-in house 'house_99'"):
        expand_scans(["house_01-house_99"])
    with pytest.raises(ValueError, match="no built-in house ''"):
        expand_scans(["house_01-"])
    with pytest.raises(ValueError, match="write house_02-house_04"):
        expand_scans(["house_04-house_02"])


def test_all_houses_have_shipped_graphs():
    assert set(read_scans()) == set(MINI.specs)


def test_shipped_episodes_follow_shortest_paths_as_in_r2r(shipped):
    for split in MINI.splits:
        for scan in {episode["scan"] for episode in shipped[split]}:
            graph = NavGraph.load(scan)
            for episode in (e for e in shipped[split] if e["scan"] == scan):
                path = episode["path"]
                assert 4 <= len(path) - 1 <= 7
                length = sum(graph.geodesic(a, b) for a, b in pairwise(path))
                assert length == pytest.approx(graph.geodesic(path[0], path[-1]))
                assert episode["distance"] == pytest.approx(length, abs=0.01)
                assert length >= 5
                assert all(b in graph.neighbours(a) for a, b in pairwise(path))


def test_shipped_splits_are_disjoint(shipped):
    scans = {split: {episode["scan"] for episode in shipped[split]} for split in MINI.splits}
    assert scans["train"] == scans["val_seen"] == set(TRAIN_SCANS)
    assert scans["val_unseen"] == set(UNSEEN_SCANS)
    episodes = [episode for split in MINI.splits for episode in shipped[split]]
    assert len({episode["path_id"] for episode in episodes}) == len(episodes)
    pairs = [(e["scan"], e["path"][0], e["path"][-1]) for e in episodes]
    assert len(set(pairs)) == len(pairs)


def test_shipped_starts_lead_to_several_goals_that_share_first_steps(shipped):
    goals = collections.defaultdict(set)
    first_steps = collections.Counter()
    for episode in shipped["train"]:
        scan, path = episode["scan"], episode["path"]
        goals[scan, path[0]].add(path[-1])
        first_steps[scan, path[0], path[1]] += 1
    counts = [len(ends) for ends in goals.values()]
    assert sum(counts) / len(counts) >= GOALS_PER_START - 0.5
    shared = sum(count for count in first_steps.values() if count > 1)
    assert shared >= 0.75 * len(shipped["train"])


def test_every_shipped_episode_has_three_texts(shipped):
    texts = [e["instructions"] for split in MINI.splits for e in shipped[split]]
    assert all(len(three) == len(set(three)) == 3 for three in texts)


def test_shipped_alignments_are_inside_texts_and_paths(shipped):
    for episode in shipped["val_unseen"]:
        assert len(episode["alignment"]) == 3
        for text, spans in zip(episode["instructions"], episode["alignment"], strict=True):
            for start, end, first, last, *_ in spans:
                assert 0 <= start < end <= len(text)
                assert 0 <= first <= last < len(episode["path"])


def test_shipped_files_are_small():
    assert (DATA_DIR / "R2R_train.json").stat().st_size <= 4_000_000


def _fake_house(scan: str) -> dict:
    records = [{"image_id": scan}]
    episode = {"scan": scan, "path_id": int(scan[-2:]), "instructions": ["Go."]}
    splits = {"train": [episode], "val_seen": [], "val_unseen": []}
    return {"connectivity": records, **splits, "rxr": {}}


def test_rebuilding_some_scans_keeps_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(
        house_set, "_build_all", lambda specs, *_: {s.scan: _fake_house(s.scan) for s in specs}
    )
    graphs, data = tmp_path / "graphs", tmp_path / "data"
    for scans in (["house_01", "house_00"], ["house_05", "house_01"]):
        build_set(MINI, scans, connectivity_dir=graphs, data_dir=data)
    assert read_scans(graphs) == ["house_00", "house_01", "house_05"]
    episodes = json.loads((data / "R2R_train.json").read_text())
    assert [episode["scan"] for episode in episodes] == ["house_00", "house_01", "house_05"]
    assert json.loads((data / "R2R_val_seen.json").read_text()) == []
    assert not list(tmp_path.rglob("*.part"))


def test_a_set_without_episodes_has_no_data_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(house_set, "_build_all", lambda *_: {"gallery_00": {"connectivity": []}})
    folders = {"connectivity_dir": tmp_path / "graphs", "data_dir": tmp_path / "data"}
    build_set(GALLERY, ["gallery_00"], **folders)
    assert [path.name for path in tmp_path.iterdir()] == ["graphs"]


@pytest.mark.parametrize(
    ("rebuild", "hint"),
    [
        ("nothing", "run the same command again to"),
        ("houses", "the same command without --rebuild"),
    ],
)
def test_an_interrupted_run_says_how_to_go_on(rebuild, hint, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(house_set, "run_jobs", interrupted)
    with pytest.raises(KeyboardInterrupt, match=f"0 of 1 houses are finished .*{hint}"):
        build_set(MINI, ["house_00"], 1, rebuild, tmp_path / "graphs", tmp_path / "data")


def test_unknown_scan_raises(tmp_path):
    with pytest.raises(ValueError, match="no built-in house 'castle'"):
        build_set(MINI, ["castle"], connectivity_dir=tmp_path, data_dir=tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_run_resumes_an_interrupted_one(tmp_path, monkeypatch):
    made = []

    def save_house(spec, directory):
        made.append("house")
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{spec.scan}.json").write_text("{}")

    def navigate(spec):
        made.append("paths")
        return _fake_house(spec.scan)

    spec = MINI.specs["house_03"]
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    monkeypatch.setattr(house, "build_house", lambda spec: spec)
    monkeypatch.setattr(house, "save_house", save_house)
    monkeypatch.setattr(house, "is_saved", lambda spec, at: (at / f"{spec.scan}.json").exists())
    monkeypatch.setattr(house, "load_house", lambda scan, at: MINI.specs[scan])
    monkeypatch.setattr(house_set, "navigate", navigate)
    for rebuild, expected in [
        ("nothing", ["house", "paths"]),
        ("nothing", []),
        ("paths", ["paths"]),
        ("houses", ["house", "paths"]),
    ]:
        made.clear()
        assert build_navigation(spec, rebuild) == _fake_house(spec.scan)
        assert made == expected
    kept = next(tmp_path.rglob("house_03.navigation.json"))
    text = kept.read_text()
    kept.write_text(text[:20])
    with pytest.raises(
        ValueError, match=r"house_03\.navigation\.json: not valid JSON .* delete it"
    ):
        build_navigation(spec)
    for other in ("[]", '{"connectivity": []}', text.replace('"val_seen"', '"test"')):
        kept.write_text(other)
        with pytest.raises(UserError, match=r"house_03\.navigation\.json: damaged, .*; delete it"):
            build_navigation(spec)
    kept.write_text(text)
    # A cached graph that is older than its house is built again.
    side_file = next(tmp_path.rglob("house_03.json"))
    os.utime(side_file, (side_file.stat().st_mtime + 60,) * 2)
    made.clear()
    build_navigation(spec)
    assert made == ["paths"]


def test_no_seed_of_the_standard_set_occurs_twice():
    assert len(STANDARD.scans["train"]) >= 60
    assert len(STANDARD.scans["val_unseen"]) == len(STANDARD.scans["test"]) == 10
    for houses in HOUSE_SETS.values():
        scans = [scan for names in houses.scans.values() for scan in names]
        assert sorted(scans) == sorted(houses.specs)
    specs = [spec for houses in HOUSE_SETS.values() for spec in houses.specs.values()]
    for seed in ("plan_seed", "style_seed"):
        seeds = [getattr(spec, seed) for spec in specs]
        assert len(set(seeds)) == len(specs)
    for scans in STANDARD.scans.values():
        shapes = {(STANDARD.specs[scan].outline, STANDARD.specs[scan].storeys) for scan in scans}
        assert len(shapes) >= 5


def test_the_gallery_has_graphs_without_episodes(tmp_path, monkeypatch):
    assert GALLERY.splits == GALLERY.splits_of("gallery_00") == ()
    records = [{"included": True}]
    monkeypatch.setattr(viewpoints, "place_viewpoints", lambda *_: records)
    monkeypatch.setattr(ray_tracer, "RayTracer", lambda _: None)
    house = SimpleNamespace(spec=GALLERY.specs["gallery_00"], scene=None)
    assert navigate(house) == {"connectivity": records, "rxr": {}}


def test_sets_of_houses_and_their_folders_are_known(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    assert set_of("house_07") is MINI
    assert MINI.data_dir == DATA_DIR
    assert set_of("standard_07") is STANDARD
    assert STANDARD.connectivity_dir.is_relative_to(tmp_path)
    assert STANDARD.splits_of("standard_00") == ("train", "val_seen")
    assert STANDARD.splits_of(STANDARD.scans["test"][0]) == ("test",)
    files = world_files("houses-standard")
    assert files.connectivity_dir == STANDARD.connectivity_dir
    with pytest.raises(FileNotFoundError, match=r"R2R_train\.json.*--set standard"):
        files.annotations("r2r", "train")
    with pytest.raises(KeyError, match="standard_00"):
        set_of("castle")


def test_episodes_of_a_test_split_are_published_without_their_goals(tmp_path, monkeypatch):
    scan = STANDARD.scans["test"][0]
    r2r = {"scan": scan, "path_id": 7, "path": ["a", "b"], "distance": 2.0, "alignment": [[1]]}
    rxr = {"scan": scan, "instruction_id": 70, "path": ["a", "b"], "alignment": []}
    built = {scan: {"connectivity": [], "test": [r2r], "rxr": {"test": [rxr]}}}
    monkeypatch.setattr(house_set, "_build_all", lambda *_: built)
    build_set(STANDARD, [scan], connectivity_dir=tmp_path / "graphs", data_dir=tmp_path)
    assert json.loads((tmp_path / "R2R_test.json").read_text()) == [
        {"scan": scan, "path_id": 7, "path": ["a"]}
    ]
    assert read_annotations(tmp_path / "rxr_test_public_guide.jsonl.gz") == [
        {"scan": scan, "instruction_id": 70, "path": ["a"]}
    ]
    assert json.loads((tmp_path / "answers" / "R2R_test.json").read_text()) == [r2r]
    assert read_annotations(tmp_path / "answers" / "rxr_test_guide.jsonl.gz") == [rxr]


def test_houses_do_not_depend_on_the_number_of_workers(tmp_path, monkeypatch):
    """Build two bare houses without light and paths with one and with two workers."""
    digests = []
    for workers in (1, 2):
        cache = tmp_path / str(workers)
        monkeypatch.setenv("CLIPNAV_CACHE", str(cache))
        monkeypatch.setattr(house_set, "build_navigation", house_files)
        house_set._build_all(SMALL, workers, "nothing")
        files = sorted(path for path in cache.rglob("*") if path.is_file())
        assert len(files) == 4
        digests.append([(path.name, file_sha256(path)) for path in files])
    assert digests[0] == digests[1]


SMALL = [
    HouseSpec("small", 11, 12, outline="t"),
    HouseSpec("smaller", 13, 14, outline="l", open_plan=True),
]


def house_files(spec, rebuild):
    """Save a house without furniture, patterns and light."""
    blank = dict.fromkeys([*textures.SURFACES, "outside"], np.full((4, 4, 3), 200, np.uint8))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rooms, "furnish", lambda *_: [])
        patch.setattr(textures, "make_textures", lambda _: blank)
        patch.setattr(baking, "bake", lambda scene, *_: scene)
        house.save_house(house.build_house(spec), house.house_cache_dir())
    return {}
