import gzip
import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from clipnav.connectivity import read_connectivity
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.houses import instruction_checks
from clipnav.envs.houses.building.house import build_house, house_cache_dir, is_saved, load_house
from clipnav.envs.houses.building.sets import DATA_DIR, MINI, STANDARD
from clipnav.envs.houses.instruction_checks import check_set, check_texts, survey_cached_house
from clipnav.envs.houses.instructions.annotation_files import guide_path, r2r_path, read_annotations
from clipnav.envs.houses.instructions.rxr_episodes import rxr_records
from clipnav.envs.houses.survey.visibility import Survey, survey_house
from clipnav.envs.panoramas.ray_tracer import RayTracer
from clipnav.storage.errors import UserError


@pytest.fixture(scope="module")
def graph(survey) -> NavGraph:
    records = []
    for number, name in enumerate(survey.viewpoints):
        pose = np.eye(4)
        pose[:3, 3] = [*survey.positions[number], survey.heights[number]]
        row = survey.edges[number].tolist()
        records.append({"image_id": name, "pose": pose.ravel().tolist(), "included": True})
        records[-1] |= {"visible": row, "unobstructed": row, "height": 1.5}
    return NavGraph("tiny", records)


def test_generated_texts_succeed_and_invalid_ones_do_not(survey, routes, graph):
    records = rxr_records(survey, routes, {"train": 4}, 0, np.random.default_rng(1))["train"]
    checks = check_texts(survey, graph, records)
    assert [kind for kind, _ in checks] == [record["language"] for record in records]
    for _, check in checks:
        assert check.is_parsed
        assert check.is_success
        assert check.is_clear
    assert np.mean([check.ndtw for _, check in checks]) > 0.8
    assert np.mean([check.is_online_success for _, check in checks]) > 0.7
    assert sum(check.other_starts for _, check in checks) > 0
    wrong = [{**records[0], "instruction": "Go away."}]
    ((_, check),) = check_texts(survey, graph, wrong)
    assert not any([check.is_parsed, check.is_success, check.is_clear, check.is_online_success])


R2R = {
    "path": [7, 6, 0, 1, 2, 8, 9],
    "heading": -np.pi / 2,
    "instructions": [
        "Leave the bedroom. Turn right and go past the coat rack. Then enter the kitchen, and "
        "walk through the kitchen. Stop by the fridge.",
        "Exit the bedroom, turn right down the hallway and go into the kitchen with the stove. "
        "Walk up to the fridge and wait by the chairs.",
        "Leave the bedroom and go past the coat rack. Climb the stairs. Stop by the globe.",
    ],
}


def test_short_texts_are_followed_with_and_without_a_map(survey, graph):
    record = {**R2R, "path": [survey.viewpoints[place] for place in R2R["path"]]}
    kinds, checks = zip(*check_texts(survey, graph, [record]), strict=True)
    assert kinds == ("R2R",) * 3
    right, other_words, wrong = checks
    assert right.is_parsed
    assert right.is_success
    assert right.is_online_success
    assert right.ndtw == pytest.approx(1)
    assert other_words.is_success
    assert wrong.is_parsed
    assert not wrong.is_success
    assert not wrong.is_online_success


def test_a_house_of_other_seeds_is_not_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    side_file = house_cache_dir() / "house_01.json"
    side_file.parent.mkdir(parents=True)
    record = dict.fromkeys(("generator_version", "plan", "objects"))
    spec = replace(MINI.specs["house_01"], style_seed=1)
    side_file.write_text(json.dumps({**record, "spec": asdict(spec)}))
    side_file.with_suffix(".glb").touch()
    with pytest.raises(FileNotFoundError, match=r"other seeds; .* --set mini --scans house_01"):
        survey_cached_house("house_01")


def test_missing_annotations_are_an_error_before_any_check(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"R2R_train\.json is missing; .*clipnav build-houses"
    ):
        check_set(STANDARD, ["standard_00"])


@pytest.fixture
def write_records(survey, graph, tmp_path, monkeypatch):
    """Function that writes annotations of house_28, whose survey and graph are the tiny ones."""
    tiny = replace(survey, scan="house_28")
    monkeypatch.setattr(instruction_checks, "survey_cached_house", lambda _: tiny)
    monkeypatch.setattr(NavGraph, "load", lambda *_: graph)

    def write(**changes) -> None:
        path = [survey.viewpoints[place] for place in R2R["path"]]
        short = {**R2R, "scan": "house_28", "path_id": 1, "path": path, "heading": 0.0, **changes}
        guide_path(tmp_path, "val_unseen").write_bytes(gzip.compress(b""))
        short = {name: value for name, value in short.items() if value is not None}
        r2r_path(tmp_path, "val_unseen").write_text(json.dumps([short]))

    return write


def test_annotations_of_a_set_are_checked(write_records, tmp_path):
    write_records()
    header, row = check_set(MINI, ["house_28"], tmp_path).splitlines()
    assert header.split()[:3] == ["split", "texts", "number"]
    assert row.split()[:3] == ["val_unseen", "R2R", "3"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"instructions": None}, r"R2R_val_unseen\.json: record 0 \(path_id 1\): field 'instr"),
        ({"path": []}, r"R2R_val_unseen\.json: record 0 \(path_id 1\): field 'path'"),
        ({"path": ["x", "y"]}, "paths of house_28 have the viewpoint 'x', which its graph lacks"),
        ({"scan": "house_29"}, "no record of house_28; .*build-houses --set mini"),
    ],
)
def test_annotations_that_do_not_fit_are_named(write_records, tmp_path, changes, problem):
    write_records(**changes)
    with pytest.raises(UserError, match=problem):
        check_set(MINI, ["house_28"], tmp_path)


@pytest.fixture(scope="module")
def unseen() -> Survey:
    """Survey of an unseen house, which is built if it is not in the cache."""
    spec = MINI.specs["house_28"]
    is_built = is_saved(spec, house_cache_dir())
    house = load_house(spec.scan, house_cache_dir()) if is_built else build_house(spec)
    return survey_house(house, RayTracer(house.scene), read_connectivity(spec.scan))


def test_shipped_texts_lead_to_their_goals_and_not_to_others(unseen):
    graph = NavGraph.load(unseen.scan)
    long = read_annotations(guide_path(DATA_DIR, "val_unseen"))
    short = read_annotations(r2r_path(DATA_DIR, "val_unseen"))
    for records, least in ((long, 0.8), (short, 0.75)):
        own = [record for record in records if record["scan"] == unseen.scan][:12]
        checks = [check for _, check in check_texts(unseen, graph, own)]
        assert all(check.is_parsed and check.is_success for check in checks)
        assert np.mean([check.is_online_success for check in checks]) >= least
        tried = sum(check.other_starts for check in checks)
        assert sum(check.other_successes for check in checks) <= 0.1 * tried
    own = [record for record in long if record["scan"] == unseen.scan]
    assert all(check.is_clear for _, check in check_texts(unseen, graph, own[:6]))
