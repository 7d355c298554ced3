import json

import numpy as np
import pytest

from envs.houses.house_set import DATA_DIR
from envs.houses.instruction_checks import best_paths, check_r2r, check_rxr
from envs.houses.language.acts import Act, Mention
from envs.houses.language.grammar import parse
from envs.houses.language.short_english import short_english
from envs.houses.rxr_episodes import rxr_records
from envs.nav_graph import NavGraph


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


def test_finished_records_arrive_and_damaged_ones_do_not(survey, routes, graph):
    records = rxr_records(survey, routes, {"train": 4}, 0, np.random.default_rng(1))["train"]
    checks = check_rxr(survey, graph, records)
    assert all(check.is_read and check.arrives and check.is_clear for check in checks)
    assert all(check.fidelity > 0.8 for check in checks)
    assert sum(check.others for check in checks) > 0
    wrong = [{**records[0], "instruction": "Go away."}]
    (check,) = check_rxr(survey, graph, wrong)
    assert (check.is_read, check.arrives, check.is_clear) == (False, False, False)


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
    assert right.is_read
    assert right.arrives
    assert right.is_clear
    assert right.fidelity == pytest.approx(1)
    assert other_words.arrives
    assert wrong.is_read
    assert not wrong.arrives


def test_paths_that_fit_most_acts_in_order_are_best(sight, routes):
    acts = [Act("leave", "bedroom"), Act("up"), Act("enter", "library")]
    acts.append(Act("stop", mention=Mention("globe")))
    assert [path[-1] for path in best_paths(sight, routes, acts, 7)] == [16]
    backwards = [Act("up"), Act("leave", "bedroom")]
    assert all(path[-1] != 7 for path in best_paths(sight, routes, backwards, 7))


def test_shipped_short_instructions_can_be_read():
    records = json.loads((DATA_DIR / "R2R_val_unseen.json").read_text("utf-8"))
    for record in records[::4]:
        for text in record["instructions"]:
            assert parse(short_english(), text) is not None, text


def test_short_english_reads_ellipsis_and_lent_verbs():
    text = "Turn left into the hall. Pass the sofa and the red chairs on your left."
    assert parse(short_english(), text) == [
        Act("turn", side="left"),
        Act("enter", "hallway"),
        Act("past", mention=Mention("sofa")),
        Act("past", mention=Mention("chair", "red", plural=True), side="left"),
    ]
