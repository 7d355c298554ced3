import gzip
import json
from dataclasses import replace

import numpy as np
import pytest

from clipnav.connectivity import read_connectivity
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.houses import instruction_checks
from clipnav.envs.houses.building.house import build_house, house_cache_dir, is_saved, load_house
from clipnav.envs.houses.building.sets import DATA_DIR, MINI, STANDARD
from clipnav.envs.houses.instruction_checks import (
    best_paths,
    check_r2r,
    check_rxr,
    check_set,
    survey_cached_house,
)
from clipnav.envs.houses.instructions.annotation_files import guide_path, r2r_path, read_annotations
from clipnav.envs.houses.instructions.rxr_episodes import rxr_records
from clipnav.envs.houses.language.acts import Act, Mention
from clipnav.envs.houses.language.grammar import parse
from clipnav.envs.houses.language.grammars.short_english import short_english
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
    checks = check_rxr(survey, graph, records)
    assert all(check.is_parsed and check.is_success and check.is_clear for check in checks)
    assert all(check.ndtw > 0.8 for check in checks)
    assert all(check.without_lookahead > 0.5 for check in checks)
    assert sum(check.other_texts for check in checks) > 0
    wrong = [{**records[0], "instruction": "Go away."}]
    (check,) = check_rxr(survey, graph, wrong)
    assert (check.is_parsed, check.is_success, check.is_clear) == (False, False, False)
    assert check.without_lookahead == 0


def test_seeds_choose_the_walks_without_lookahead(survey, routes, graph, monkeypatch):
    records = rxr_records(survey, routes, {"train": 4}, 0, np.random.default_rng(1))["train"]
    # The texts of this small house leave nothing to chance.
    monkeypatch.setattr(
        "clipnav.envs.houses.instruction_checks.follow_without_lookahead",
        lambda *given: [int(given[-1].integers(len(survey.viewpoints)))],
    )
    first, again, other = (check_rxr(survey, graph, records, seed) for seed in (3, 3, 4))
    assert first == again
    assert first != other


R2R = {
    "path": [7, 6, 0, 1, 2, 8, 9],
    "instructions": [
        "Leave the bedroom and go past the coat rack. Enter the kitchen. Stop by the fridge.",
        "Exit the bedroom and go right. Walk into the kitchen with the stove. Wait by the chairs.",
        "Leave the bedroom and go past the coat rack. Climb the stairs. Stop by the globe.",
    ],
}


def test_short_instructions_are_followed_along_shortest_paths(survey, graph):
    record = {**R2R, "path": [survey.viewpoints[place] for place in R2R["path"]]}
    right, other_words, wrong = check_r2r(survey, graph, [record])
    assert right.is_parsed
    assert right.is_success
    assert right.is_clear
    assert right.ndtw == pytest.approx(1)
    assert other_words.is_success
    assert wrong.is_parsed
    assert not wrong.is_success


def test_paths_that_fit_most_acts_in_order_are_best(sight, routes):
    acts = [Act("leave", "bedroom"), Act("up"), Act("enter", "library")]
    acts.append(Act("stop", mention=Mention("globe")))
    assert [path[-1] for path in best_paths(sight, routes, acts, 7)] == [16]
    backwards = [Act("up"), Act("leave", "bedroom")]
    assert all(path[-1] != 7 for path in best_paths(sight, routes, backwards, 7))


def test_one_edge_can_fit_several_acts(sight, routes):
    acts = [Act("leave", "bedroom"), Act("enter", "hallway"), Act("through", "hallway")]
    acts += [Act("enter", "kitchen"), Act("stop", mention=Mention("fridge"))]
    path = routes.path(7, 9)  # one edge leaves the bedroom and counts_as_entering the hallway
    assert best_paths(sight, routes, acts, 7) == [path]
    assert best_paths(sight, routes, acts[::2], 7) == [path]


def test_shipped_short_instructions_can_be_parsed():
    records = json.loads((DATA_DIR / "R2R_val_unseen.json").read_text("utf-8"))
    for record in records[::4]:
        for text in record["instructions"]:
            assert parse(short_english(), text) is not None, text


def test_short_english_parses_ellipsis_and_shared_verbs():
    text = "Turn left into the hall. Pass the sofa and the red chairs on your left."
    assert parse(short_english(), text) == [
        Act("turn", side="left"),
        Act("enter", "hallway"),
        Act("past", mention=Mention("sofa")),
        Act("past", mention=Mention("chair", "red", plural=True), side="left"),
    ]


def test_a_house_of_other_seeds_is_not_checked(tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    side_file = house_cache_dir() / "house_01.json"
    side_file.parent.mkdir(parents=True)
    record = dict.fromkeys(("generator_version", "plan", "objects"))
    spec = replace(MINI.specs["house_01"], style_seed=1)
    side_file.write_text(json.dumps({**record, "spec": spec.to_dict()}))
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
    """Function that writes annotations of house_36, whose survey and graph are the tiny ones."""
    tiny = replace(survey, scan="house_36")
    monkeypatch.setattr(instruction_checks, "survey_cached_house", lambda _: tiny)
    monkeypatch.setattr(NavGraph, "load", lambda *_: graph)

    def write(**changes) -> None:
        path = [survey.viewpoints[place] for place in R2R["path"]]
        short = {**R2R, "scan": "house_36", "path_id": 1, "path": path, "heading": 0.0, **changes}
        guide_path(tmp_path, "val_unseen").write_bytes(gzip.compress(b""))
        short = {name: value for name, value in short.items() if value is not None}
        r2r_path(tmp_path, "val_unseen").write_text(json.dumps([short]))

    return write


def test_annotations_of_a_set_are_checked(write_records, tmp_path):
    write_records()
    header, row = check_set(MINI, ["house_36"], tmp_path).splitlines()
    assert header.split()[:3] == ["split", "texts", "number"]
    assert row.split()[:3] == ["val_unseen", "R2R", "3"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"instructions": None}, r"R2R_val_unseen\.json: record 0 \(path_id 1\): field 'instr"),
        ({"path": []}, r"R2R_val_unseen\.json: record 0 \(path_id 1\): field 'path'"),
        ({"path": ["x", "y"]}, "paths of house_36 have the viewpoint 'x', which its graph lacks"),
        ({"scan": "house_37"}, "no record of house_36; .*build-houses --set mini"),
    ],
)
def test_annotations_that_do_not_fit_are_named(write_records, tmp_path, changes, problem):
    write_records(**changes)
    with pytest.raises(UserError, match=problem):
        check_set(MINI, ["house_36"], tmp_path)


@pytest.fixture(scope="module")
def unseen() -> Survey:
    """Survey of an unseen house, which is built if it is not in the cache."""
    spec = MINI.specs["house_36"]
    is_built = is_saved(spec, house_cache_dir())
    house = load_house(spec.scan, house_cache_dir()) if is_built else build_house(spec)
    return survey_house(house, RayTracer(house.scene), read_connectivity(spec.scan))


def test_shipped_texts_lead_to_their_goals_and_other_texts_do_not(unseen):
    graph = NavGraph.load(unseen.scan)
    guide = read_annotations(guide_path(DATA_DIR, "val_unseen"))
    long = check_rxr(unseen, graph, [one for one in guide if one["scan"] == unseen.scan])
    assert len(long) == 36
    assert all(check.is_parsed and check.is_success and check.is_clear for check in long)
    assert np.mean([check.ndtw for check in long]) > 0.9
    assert np.mean([check.without_lookahead for check in long]) > 0.5
    assert sum(check.other_successes for check in long) <= 0.03 * sum(
        check.other_texts for check in long
    )
    records = json.loads((DATA_DIR / "R2R_val_unseen.json").read_text("utf-8"))
    short = check_r2r(unseen, graph, [one for one in records if one["scan"] == unseen.scan][:10])
    assert all(check.is_parsed for check in short)
    assert np.mean([check.is_success for check in short]) >= 0.9
    tried = sum(check.other_texts for check in short)
    assert sum(check.other_successes for check in short) <= 0.1 * tried
