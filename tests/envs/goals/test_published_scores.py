"""Scores of REVERIE, SOON and CVDN against the published evaluators."""

import gzip
import json
from collections import defaultdict
from itertools import chain
from types import SimpleNamespace

import numpy as np
import pytest

from clipnav.envs.episodes import Episode
from clipnav.envs.goals import cvdn, objectnav, reverie, soon
from clipnav.envs.goals.cvdn import DialogGoal
from clipnav.envs.goals.scores import Walked
from clipnav.envs.graphs.goal import Goal
from clipnav.envs.graphs.nav_graph import NavGraph


@pytest.fixture(scope="module")
def golden(golden_systems, shared):
    with gzip.open(golden_systems / "goals_metrics.json.gz") as file:
        data = json.load(file)
    folder = shared / "data" / "matterport" / "connectivity"
    graphs = {scan: NavGraph.load(scan, folder) for scan in data["viewpoints"]}

    def names(scan, indices):
        return tuple(data["viewpoints"][scan][int(i)] for i in indices)

    return SimpleNamespace(**data, graphs=graphs, names=names)


def check(scores, published, names):
    for ours, theirs in names.items():
        assert scores[ours] == pytest.approx(float(published[theirs]), abs=1e-9), ours


def check_means(rows, published, names, factor=1.0):
    """Check the means over all cases, some of them in per cent."""
    means = {name: np.mean([row[name] for row in rows]) for name in rows[0]}
    for ours, theirs in names.items():
        scale = 1.0 if ours in METRES else factor
        assert scale * means[ours] == pytest.approx(published[theirs], abs=1e-8), ours


METRES = ("nav_error", "oracle_error", "goal_progress")
RATES = {"success": "sr", "oracle_success": "oracle_sr", "spl": "spl"}
PATHS = {"success": "success", "oracle_success": "oracle_success", "spl": "spl"}


def test_reverie_scores_equal_the_official_and_those_of_duet_and_scalevln(golden):
    objects = {"rgs": "rgs", "rgspl": "rgspl"}
    official = {"success": "success_rate", "oracle_success": "oracle success_rate", "spl": "spl"}
    rows = defaultdict(list)
    for case in golden.reverie["cases"]:
        scan, number = case["scan"], str(case["objId"])
        path = golden.names(scan, case["path"])
        ends = golden.names(scan, golden.reverie["visible"][scan][number])
        goal = Goal(ends, 0.0, path[-1], number)
        episode = Episode(case["instr_id"], 1, scan, path, 0.0, "Go.", "en", target=goal)
        hops = golden.names(scan, chain.from_iterable(case["hops"]))
        walked = Walked(golden.graphs[scan], hops)
        answer = reverie._answer({"predObjId": case["pred_objid"]})
        scores = {d: reverie._score(walked, episode, answer, d) for d in reverie.SCORES.definitions}
        for definition in ("duet", "with_success"):
            rows[definition].append(scores[definition])
        assert walked.length == pytest.approx(case["duet"]["trajectory_lengths"], abs=1e-9)
        check(scores["duet"], case["duet"], PATHS | objects)
        check(scores["with_success"], case["duet"] | case["with_success"], PATHS | objects)
        if isinstance(case["official"], dict):
            check(scores["official"], case["official"], official | objects)
            rows["official"].append(scores["official"])
        else:
            # The official evaluator divides by zero and scores no file with this answer.
            assert walked.length == 0
            assert scores["official"]["spl"] == scores["official"]["success"]
    for definition in ("duet", "with_success"):
        check_means(rows[definition], golden.reverie["mean"][definition], RATES | objects, 100)
    published = golden.reverie["mean"]["official_without_errors"]
    check_means(rows["official"], published, official | objects)


def soon_case(golden, case):
    scan, item = case["scan"], golden.soon["items"][case["instr_id"].partition("_")[0]]
    record = {
        "path_id": case["instr_id"].partition("_")[0],
        "scan": scan,
        "path": golden.names(scan, item["path"]),
        "instructions": [{"full": "A vase."}],
        "bboxes": [
            {
                "image_id": golden.names(scan, [index])[0],
                "target": {
                    k: dict(zip(("heading", "elevation"), v, strict=True))
                    for k, v in corners.items()
                },
            }
            for index, corners in item["bboxes"].items()
        ],
    }
    (episode,) = soon.msgspec.convert(record, soon.SoonRecord).episodes()
    walked = Walked(golden.graphs[scan], golden.names(scan, chain.from_iterable(case["hops"])))
    record = {"obj_heading": case["obj_heading"], "obj_elevation": case["obj_elevation"]}
    return walked, episode, soon._answer(record)


def test_soon_scores_equal_those_of_duet(golden):
    same = ("nav_error", "success", "goal_progress", "spl")
    oracle, pointed = ("oracle_error", "oracle_success"), ("det_success", "det_spl")
    rows = []
    for case in golden.soon["cases"]:
        walked, episode, answer = soon_case(golden, case)
        published = soon._score(walked, episode, answer, "soon")
        unwrapped = soon._score(walked, episode, answer, "unwrapped")
        check(published, case["soon"], dict(zip(same, same, strict=True)))
        check(published, case["soon"], dict(zip(oracle, oracle, strict=True)))
        check(unwrapped, case["soon"], dict(zip(same, same, strict=True)))
        assert unwrapped["oracle_success"] >= unwrapped["success"]
        if not case.get("on_border"):
            check(published, case["soon"], dict(zip(pointed, pointed, strict=True)))
            check(unwrapped, case["unwrapped"], dict(zip(pointed, pointed, strict=True)))
        # Where rounding decides whether a point is in its box, the mean takes what was recorded.
        rows.append(published | {name: float(case["soon"][name]) for name in pointed})
    names = {name: name for name in METRES} | RATES
    names |= {"det_success": "det_sr", "det_spl": "det_spl"}
    check_means(rows, golden.soon["mean"], names, 100)


def test_cvdn_scores_equal_the_official_and_those_of_hamt_and_same(golden):
    official = {
        "nav_error": "nav_error",
        "success": "success_rate",
        "oracle_success": "oracle success_rate",
        "spl": "spl",
        "path_success": "oracle path_success_rate",
        "goal_progress": "dist_to_end_reduction",
    }
    names = {"nav_error": "nav_errors", "oracle_error": "oracle_errors"}
    names |= {"success": "success", "spl": "spl"}
    rows = defaultdict(list)
    for case in golden.cvdn["cases"]:
        scan = case["scan"]
        paths = {n: golden.names(scan, case[f"{n}_path"]) for n in ("planner", "player", "trusted")}
        ends = golden.names(scan, case["end_panos"])
        goal = DialogGoal(ends, 0.0, planner_path=paths["planner"], player_path=paths["player"])
        assert goal.trusted_path == paths["trusted"]
        episode = Episode("1", 1, scan, paths["trusted"], 0.0, "Go.", "en", target=goal)
        walked = Walked(golden.graphs[scan], golden.names(scan, case["trajectory"]))
        for name, published in case["official"].items():
            definition = name.removesuffix("_path")
            rows[name].append(cvdn._score(walked, episode, None, definition))
            check(rows[name][-1], published, official)
        rows["hamt"].append(cvdn._score(walked, episode, None, "hamt"))
        check(rows["hamt"][-1], case["hamt"], PATHS | {"goal_progress": "gp"})
        same = golden.names(scan, case["same_path"])
        episode = Episode("1", 1, scan, same, 0.0, "Find it.", "en", target=Goal(same[-1:]))
        rows["same"].append(objectnav._score(walked, episode, None, "same"))
        check(rows["same"][-1], case["same"], names)
    mean = golden.cvdn["mean"]
    for name, published in mean["official"].items():
        check_means(rows[name], published, official)
    check_means(rows["hamt"], mean["hamt"], RATES | {"goal_progress": "gp"}, 100)
    check_means(rows["same"], mean["same"], names)
