import collections
import json
import os
import re
from itertools import pairwise

import pytest

from connectivity import read_connectivity, read_scans
from envs.houses import house, house_set
from envs.houses.house_set import (
    DATA_DIR,
    GOALS_PER_START,
    HOUSE_SPECS,
    SPLITS,
    TRAIN_SCANS,
    UNSEEN_SCANS,
    build_navigation,
    build_set,
    expand_scans,
)
from envs.nav_graph import NavGraph


@pytest.fixture(scope="module")
def shipped() -> dict[str, list[dict]]:
    return {
        split: json.loads((DATA_DIR / f"R2R_{split}.json").read_text("utf-8")) for split in SPLITS
    }


def test_unseen_houses_share_no_seed_with_training_houses():
    assert len(TRAIN_SCANS) >= 24
    assert len(UNSEEN_SCANS) >= 6
    for seed in ("plan_seed", "style_seed"):
        seeds = [getattr(spec, seed) for spec in HOUSE_SPECS.values()]
        assert len(set(seeds)) == len(HOUSE_SPECS)


def test_ranges_of_scans():
    assert expand_scans(["house_02-house_04", "house_03", "house_39"]) == [
        "house_02",
        "house_03",
        "house_04",
        "house_39",
    ]
    with pytest.raises(ValueError, match="no built-in house 'house_99'"):
        expand_scans(["house_01-house_99"])


def test_shipped_graphs_have_enough_viewpoints():
    assert set(read_scans()) == set(HOUSE_SPECS)
    for scan in HOUSE_SPECS:
        included = [record for record in read_connectivity(scan) if record["included"]]
        assert len(included) >= house_set.FEWEST_VIEWPOINTS


def test_shipped_episodes_follow_shortest_paths_as_in_r2r(shipped):
    for split in SPLITS:
        for scan in {one["scan"] for one in shipped[split]}:
            graph = NavGraph.load(scan)
            for one in (one for one in shipped[split] if one["scan"] == scan):
                path = one["path"]
                assert 4 <= len(path) - 1 <= 7
                length = sum(graph.geodesic(a, b) for a, b in pairwise(path))
                assert length == pytest.approx(graph.geodesic(path[0], path[-1]))
                assert one["distance"] == pytest.approx(length, abs=0.01)
                assert length >= 5
                assert all(b in graph.neighbours(a) for a, b in pairwise(path))


def test_shipped_splits_are_apart(shipped):
    scans = {split: {one["scan"] for one in shipped[split]} for split in SPLITS}
    assert scans["train"] == scans["val_seen"] == set(TRAIN_SCANS)
    assert scans["val_unseen"] == set(UNSEEN_SCANS)
    everything = [one for split in SPLITS for one in shipped[split]]
    assert len({one["path_id"] for one in everything}) == len(everything)
    pairs = [(one["scan"], one["path"][0], one["path"][-1]) for one in everything]
    assert len(set(pairs)) == len(pairs)


def test_shipped_starts_lead_to_several_goals_that_share_first_steps(shipped):
    goals = collections.defaultdict(set)
    first_steps = collections.Counter()
    for one in shipped["train"]:
        goals[one["scan"], one["path"][0]].add(one["path"][-1])
        first_steps[one["scan"], one["path"][0], one["path"][1]] += 1
    counts = [len(ends) for ends in goals.values()]
    assert sum(counts) / len(counts) >= GOALS_PER_START - 0.5
    shared = sum(count for count in first_steps.values() if count > 1)
    assert shared >= 0.8 * len(shipped["train"])


def test_shipped_language_is_short_varied_and_small_in_words(shipped):
    texts = [text for split in SPLITS for one in shipped[split] for text in one["instructions"]]
    words = collections.Counter(word for text in texts for word in re.findall(r"\w+", text.lower()))
    lengths = [len(text.split()) for text in texts]
    assert all(len(one["instructions"]) == 3 for split in SPLITS for one in shipped[split])
    assert 20 <= sum(lengths) / len(lengths) <= 35
    assert len(words) <= 250
    assert len(set(texts)) >= 0.95 * len(texts)
    turning = sum(bool(re.search(r"\b(left|right)\b", text)) for text in texts)
    assert turning <= 0.5 * len(texts)


def test_shipped_alignment_points_into_the_texts(shipped):
    for one in shipped["val_unseen"]:
        assert len(one["alignment"]) == 3
        for text, spans in zip(one["instructions"], one["alignment"], strict=True):
            for start, end, first, last, *_ in spans:
                assert 0 <= start < end <= len(text)
                assert 0 <= first <= last < len(one["path"])


def test_shipped_files_are_small():
    assert (DATA_DIR / "R2R_train.json").stat().st_size <= 4_000_000


def _stand_in(scan: str) -> dict:
    records = [{"image_id": scan}]
    episode = {"scan": scan, "path_id": int(scan[-2:]), "instructions": ["Go."]}
    splits = {"train": [episode], "val_seen": [], "val_unseen": []}
    return {"connectivity": records, **splits, "rxr": {}}


def test_rebuilding_some_scans_keeps_the_others(tmp_path, monkeypatch):
    monkeypatch.setattr(
        house_set, "_built", lambda specs, *_: {s.scan: _stand_in(s.scan) for s in specs}
    )
    graphs, data = tmp_path / "graphs", tmp_path / "data"
    build_set(graphs, data, ["house_01", "house_00"])
    build_set(graphs, data, ["house_05", "house_01"])
    assert read_scans(graphs) == ["house_00", "house_01", "house_05"]
    episodes = json.loads((data / "R2R_train.json").read_text())
    assert [one["scan"] for one in episodes] == ["house_00", "house_01", "house_05"]
    assert json.loads((data / "R2R_val_seen.json").read_text()) == []
    assert not list(tmp_path.rglob("*.part"))


def test_unknown_scan_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="no built-in house 'castle'"):
        build_set(tmp_path, tmp_path, ["castle"])
    assert not list(tmp_path.iterdir())


def test_a_run_goes_on_where_the_last_one_stopped(tmp_path, monkeypatch):
    made = []

    def save_house(spec, directory):
        made.append("house")
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{spec.scan}.json").write_text("{}")

    def navigate(spec):
        made.append("paths")
        return _stand_in(spec.scan)

    spec = HOUSE_SPECS["house_03"]
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    monkeypatch.setattr(house, "build_house", lambda spec: spec)
    monkeypatch.setattr(house, "save_house", save_house)
    monkeypatch.setattr(house, "is_saved", lambda spec, at: (at / f"{spec.scan}.json").exists())
    monkeypatch.setattr(house, "load_house", lambda scan, at: HOUSE_SPECS[scan])
    monkeypatch.setattr(house_set, "navigate", navigate)
    for rebuild, expected in [
        ("nothing", ["house", "paths"]),
        ("nothing", []),
        ("paths", ["paths"]),
        ("houses", ["house", "paths"]),
    ]:
        made.clear()
        assert build_navigation(spec, rebuild) == _stand_in(spec.scan)
        assert made == expected
    # A house that was made anew since leaves the kept graph behind.
    side_file = next(tmp_path.rglob("house_03.json"))
    os.utime(side_file, (side_file.stat().st_mtime + 60,) * 2)
    made.clear()
    build_navigation(spec)
    assert made == ["paths"]
