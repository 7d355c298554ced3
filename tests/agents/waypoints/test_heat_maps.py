"""Heat maps of waypoints against the recorded outputs of the published programs."""

import gzip
import json

import numpy as np
import pytest

from clipnav.agents.waypoints.heat_maps import (
    ANGLES,
    DISTANCES,
    FULL_SCORE,
    candidates,
    count_open_bins,
    find_peaks,
    make_target,
    measures,
    resample,
    summarise_measures,
)
from clipnav.envs.continuous.floor.continuous_floor import ContinuousFloor


def read(path):
    return json.loads(gzip.decompress(path.read_bytes()))


def heat_map(case):
    """Return the logits of a recorded case, a table in hundredths or single cells."""
    if "logits" in case:
        return np.array(case["logits"]) / 100
    logits = np.full((ANGLES, DISTANCES), case["background"], float)
    for angle, distance, value in case["cells"]:
        logits[angle, distance] = value
    return logits


def test_peaks_are_the_recorded_ones(golden_systems):
    cases = read(golden_systems / "waypoint_nms.json.gz")["cases"]
    for case in cases:
        logits = heat_map(case)
        for name in ("published", "circular"):
            recorded = case[name]["picks"]
            inside = [tuple(pick) for pick in recorded if pick and 0 <= pick[0] < ANGLES]
            assert find_peaks(logits, name) == inside
            angles, distances = candidates(logits, name)
            cells = np.rint([np.degrees(angles) / 3, 4 * distances - 1]).T
            assert cells.tolist() == case[name]["candidates"]
        angles, distances = candidates(logits, "published")
        expected = np.array(case["published"]["angles_ccw"])
        np.testing.assert_allclose((-angles - expected + 1e-5) % (2 * np.pi), 1e-5, atol=1e-5)
        np.testing.assert_array_equal(distances, case["published"]["distances"])


def test_resampled_peaks_are_the_recorded_ones(golden_systems):
    for case in read(golden_systems / "waypoint_nms.json.gz")["augmentation"]:
        picked = [tuple(pick) for pick in case["picked"]]
        for rule, name in (("published", "published"), ("intended", "right")):
            sampled = resample(heat_map(case), picked, np.random.default_rng(0), rule)
            assert sampled == [tuple(pick) for pick in case[name]]


def test_only_circular_suppression_wraps_around_the_angles():
    logits = np.zeros((ANGLES, DISTANCES))
    logits[118, 5], logits[2, 5] = 30, 29
    assert (2, 5) in find_peaks(logits, "published")
    assert (2, 5) not in find_peaks(logits, "circular")


def directions(vectors):
    """Return the angles and lengths of vectors (K, 2) in habitat's x and z; +z is straight on."""
    return np.arctan2(-vectors[:, 0], vectors[:, 1]), np.linalg.norm(vectors, axis=1)


def surroundings(scene, name):
    """Return angles and distances of a node's neighbours, and the open bins around it."""
    nodes = scene["nodes"]
    names = [b if a == name else a for a, b in scene["edges"] if name in (a, b)]
    vectors = np.array([nodes[one] for one in names]) - np.array(nodes[name])
    obstacles, walked = scene["obstacles"] or {}, scene["obstacle_distance"] or {}
    free = walked.get(name) or obstacles.get("by_angle") or [None] * ANGLES
    metres = np.array([np.inf if one is None else one for one in free])
    return *directions(vectors[:, [0, 2]]), count_open_bins(metres)


def dense(recorded):
    target = np.zeros((ANGLES, DISTANCES))
    for angle, values in recorded["target"].items():
        target[int(angle)] = values
    return target


def offsets(published, places):
    """Return vectors (K, 2) from a viewpoint to places."""
    return np.array(places) - np.array(published["source_pos"])


def test_targets_are_the_recorded_ones(golden_systems):
    golden = read(golden_systems / "waypoint_targets.json.gz")
    for case in golden["targets"]:
        angles, distances, bins = surroundings(golden["scenes"][case["scene"]], case["node"])
        assert bins.tolist() == case["open_bins"]
        for rule in ("published", "intended"):
            recorded = case["published"] if case[rule] == "same" else case[rule]
            target = make_target(angles, distances, bins, rule)
            if recorded is None or target is None:
                assert recorded is target is None
                continue
            np.testing.assert_allclose(target.heat, dense(recorded), atol=1e-4)
            ways, lengths = directions(offsets(case["published"], recorded["target_pos"]))
            np.testing.assert_allclose(np.cos(angles[target.kept] - ways), 1, atol=1e-6)
            np.testing.assert_allclose(distances[target.kept], lengths, atol=1e-5)


def test_measures_are_the_recorded_ones(golden_systems):
    """The published distances are those between the waypoints' mirror images and the targets."""
    golden = read(golden_systems / "waypoint_targets.json.gz")
    targets = {(one["scene"], one["node"]): one for one in golden["targets"]}
    results = []
    for case in golden["evaluation"]:
        recorded = targets[case["scene"], case["node"]]
        bins, published = np.array(recorded["open_bins"]), recorded["published"]
        angles, distances = candidates(heat_map(case), "published")
        neighbours = directions(offsets(published, published["target_pos"]))
        target = dense(published)
        shown = measures((angles, distances), neighbours, target, bins)
        mirrored = measures((-angles, distances), neighbours, target, bins)
        check(shown, case["right_handed"])
        results.append(shown | {name: mirrored[name] for name in mirrored if name in METRES})
        check(summarise_measures(results[-1:]), case["published"])
    count = golden["overall"].pop("cases")
    check(summarise_measures(results[:count]), golden["overall"])


METRES = {
    "distance": "avg_pred_distance",
    "chamfer": "avg_chamfer_distance",
    "hausdorff": "avg_hausdorff_distance",
}
NAMES = METRES | {"open": "p_waypoint_openspace", "score": "avg_wayscore", "delta": "avg_num_delta"}


def check(summary, recorded):
    names = {name: theirs for name, theirs in NAMES.items() if theirs in recorded}
    assert len(names) == len(recorded)
    for name, theirs in names.items():
        factor = FULL_SCORE if name == "score" else 1.0
        assert factor * summary[name] == pytest.approx(recorded[theirs], abs=1e-4), name


def test_straight_walks_of_a_floor_are_those_of_the_simulator(golden_systems):
    """The floor has cells of 5 cm, and the recorded rooms lie between them."""
    scenes = read(golden_systems / "waypoint_targets.json.gz")["scenes"].values()
    differences = []
    for scene in scenes:
        if "room" not in (scene["obstacles"] or {}):
            continue
        x0, z0, x1, z1 = scene["obstacles"]["room"]
        boxes = [(a, -d, c, -b) for a, b, c, d in scene["obstacles"]["boxes"]]
        floor = ContinuousFloor.of_boxes([(x0, -z1, x1, -z0)], boxes)
        for name, walked in scene["obstacle_distance"].items():
            x, _, z = scene["nodes"][name]
            headings = np.pi + 2 * np.pi * np.arange(ANGLES) / ANGLES  # habitat's +z is south
            free = floor.straight_walks(np.array([x, -z, 0.0]), headings).clip(max=3.0)
            expected = np.array([3.0 if one is None else one for one in walked])
            differences.append(np.abs(free - expected))
    assert np.quantile(np.concatenate(differences), 0.95) < 0.06
