"""Tables and files of scores: intervals only where buildings differ."""

import pytest

from clipnav.agents.language_models.evaluation.reporting import score_agents, score_table, to_json
from clipnav.envs.metrics import SUMMARY_METRICS


@pytest.fixture
def scored(houses):
    """Function that scores a model and a baseline on the first episodes, with given successes."""

    def score(model, baseline):
        buildings = sorted({episode.scan for episode in houses.episodes})[:2]
        own = [[e for e in houses.episodes if e.scan == scan][:3] for scan in buildings]
        episodes = [episode for three in own for episode in three][: len(model)]

        def rows(successes):
            columns = [metric.column for metric in SUMMARY_METRICS.values()]
            return {
                episode.instr_id: dict.fromkeys(columns, float(success))
                for episode, success in zip(episodes, successes, strict=True)
            }

        return score_agents({"model": rows(model), "baseline": rows(baseline)}, episodes)

    return score


def test_one_building_has_no_interval_and_the_reason_is_printed(scored):
    scores = scored([1, 0, 1], [0, 0, 0])
    table = score_table("val_unseen", scores)
    assert "[" not in table
    assert table.endswith(
        "No interval: the value is the same in all buildings (1 scored building)."
    )
    document = to_json("val_unseen", scores)
    assert document["intervals"]["val_unseen"]["model"]["SR"] is None
    assert document["differences"]["val_unseen"]["baseline"]["SR"] == [
        pytest.approx(-2 / 3),
        None,
        None,
    ]


def test_buildings_that_differ_have_intervals(scored):
    scores = scored([1, 1, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1])
    table = score_table("val_unseen", scores)
    assert table.count("[") == 9
    assert "No interval" not in table
    assert to_json("val_unseen", scores)["intervals"]["val_unseen"]["model"]["SR"] == [0.0, 1.0]
