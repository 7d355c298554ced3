import dataclasses
import json

import numpy as np
import pytest

from clipnav.envs.metrics import bootstrap_interval, paired_difference, score_path
from clipnav.envs.submissions.files import write_submission
from clipnav.envs.submissions.ground_truth import ScoringRules, load_ground_truth
from clipnav.envs.submissions.scores import (
    differences,
    evaluate_submissions,
    report,
    score_submission,
    submission_results,
)
from clipnav.envs.worlds import world_files


@pytest.fixture
def rules(tiny_world):
    return ScoringRules(splits=("train",), data_dir=tiny_world, resamples=400)


def test_a_negative_seed_is_refused_before_files_are_read():
    with pytest.raises(ValueError, match=r"^--seed -1: must be at least 0"):
        ScoringRules(seed=-1)


@pytest.mark.parametrize("dataset", ["r2r-ce", "rxr-ce"])
def test_walks_in_continuous_environments_are_refused(dataset, ground_truth, tmp_path):
    rules = ScoringRules(dataset=dataset)
    message = f"clipnav evaluate-submission FILE --dataset {dataset}"
    with pytest.raises(ValueError, match=message):
        load_ground_truth(rules)
    (tmp_path / "walks.json").write_text("{}")
    with pytest.raises(ValueError, match=message):
        score_submission(tmp_path / "walks.json", rules, ground_truth)


@pytest.fixture
def ground_truth(rules):
    return load_ground_truth(rules)


@pytest.fixture
def submit(ground_truth, tmp_path):
    """Function that writes a file of paths and skips episodes where `walk` returns None."""

    def write(name, walk, ground_truth=ground_truth):
        pairs = [(e, walk(e, ground_truth.graphs[e.scan])) for e in ground_truth.episodes]
        records = [{"instr_id": e.instr_id, "trajectory": w} for e, w in pairs if w is not None]
        (tmp_path / name).write_text(json.dumps(records))
        return tmp_path / name

    return write


def shortest(episode, graph):
    return graph.shortest_path(episode.path[0], episode.path[-1])


def halfway(episode, graph):
    return shortest(episode, graph)[:-1] if episode.path_id % 2 else shortest(episode, graph)


def lazy_or_lost(episode, graph):
    """Skip some paths; walk others to the end, back, and to the end again."""
    path = shortest(episode, graph)
    return path[:1] if episode.path_id > 102 else [*path, *path[-2::-1], *path[1:]]


def turning(episode, graph):
    return [v for v in halfway(episode, graph) for _ in range(3)]


def test_means_equal_the_means_of_score_path(submit, ground_truth, rules):
    scored = score_submission(submit("a.json", halfway), rules, ground_truth)
    assert scored.episodes == ground_truth.episodes
    for row, episode in enumerate(scored.episodes):
        graph = ground_truth.graphs[episode.scan]
        single = score_path(graph, halfway(episode, graph), episode.path)
        assert {n: scored.scores[n][row] for n in single} == pytest.approx(single, abs=1e-9)
    summary = submission_results([scored], rules)["submissions"][0]["summary"]
    assert summary["SR"] == scored.scores["success"].mean()
    assert summary["episodes"] == 14
    lengths = [len(halfway(e, ground_truth.graphs[e.scan])) - 1 for e in ground_truth.episodes]
    assert summary["steps"] == summary["moves"] == np.mean(lengths)


def test_the_ground_truth_is_loaded_if_it_is_not_given(submit, ground_truth, rules):
    path = submit("a.json", halfway)
    scored = score_submission(str(path), rules)
    assert scored.summary == score_submission(path, rules, ground_truth).summary
    assert scored.summary["SR"] == scored.scores["success"].mean()
    assert scored.checked.path == path
    nothing = score_submission(submit("b.json", lambda e, g: None), rules)
    assert nothing.summary == {}


def test_intervals_resample_buildings(submit, rules):
    rules = dataclasses.replace(rules, splits=("train", "val_unseen"))  # one building each
    ground_truth = load_ground_truth(rules)
    files = submit("a.json", halfway, ground_truth), submit("b.json", shortest, ground_truth)
    scored, other = (score_submission(path, rules, ground_truth) for path in files)
    clusters = [episode.scan for episode in ground_truth.episodes]
    settings = {"seed": 0, "clusters": clusters, "resamples": 400}
    expected = bootstrap_interval(scored.scores["spl"], **settings)
    assert scored.intervals(rules)["SPL"] == pytest.approx(expected)
    count, gains = differences(scored, other, rules)
    assert count == 22
    errors = scored.scores["nav_error"], other.scores["nav_error"]
    assert gains["NE"] == pytest.approx(paired_difference(*errors, **settings))


def test_turns_change_only_ndtw_sdtw_and_steps(submit, ground_truth, rules):
    straight = score_submission(submit("a.json", halfway), rules, ground_truth)
    kept = score_submission(submit("b.json", turning), rules, ground_truth)
    dropped = score_submission(
        submit("b.json", turning), dataclasses.replace(rules, turns="drop"), ground_truth
    )
    for name, column in straight.scores.items():
        np.testing.assert_allclose(dropped.scores[name], column, atol=1e-12)
        if name not in ("dtw", "ndtw", "sdtw", "steps"):
            np.testing.assert_allclose(kept.scores[name], column, atol=1e-12)
    assert kept.scores["ndtw"].mean() < straight.scores["ndtw"].mean()
    np.testing.assert_array_equal(kept.scores["steps"], 3 * straight.scores["moves"] + 2)
    np.testing.assert_allclose(
        kept.scores_without_turns["ndtw"], straight.scores["ndtw"], atol=1e-12
    )
    assert straight.scores_without_turns == {}


def test_missing_paths_are_left_out_or_scored_as_the_start(submit, ground_truth, rules):
    path = submit("a.json", lambda e, g: shortest(e, g) if e.path_id % 2 else None)
    scored = score_submission(path, rules, ground_truth)
    assert {e.path_id % 2 for e in scored.episodes} == {1}
    still = score_submission(path, dataclasses.replace(rules, missing="stand-still"), ground_truth)
    assert still.episodes == ground_truth.episodes
    for episode, length in zip(still.episodes, still.scores["trajectory_length"], strict=True):
        assert (length > 0) == (episode.path_id % 2 == 1)
    assert "8 instructions without a usable path, so they are not comparable" in report(
        [scored], rules
    )


def test_differences_are_over_shared_instructions(submit, ground_truth, rules):
    odd = score_submission(
        submit("a.json", lambda e, g: halfway(e, g) if e.path_id != 100 else None),
        rules,
        ground_truth,
    )
    even = score_submission(
        submit("b.json", lambda e, g: shortest(e, g) if e.path_id != 101 else None),
        rules,
        ground_truth,
    )
    count, gains = differences(odd, even, rules)
    assert count == 10
    shared = [e.instr_id for e in odd.episodes if e in even.episodes]
    values = [
        np.mean([s.scores["nav_error"][[e.instr_id for e in s.episodes].index(i)] for i in shared])
        for s in (odd, even)
    ]
    assert gains["NE"].mean == pytest.approx(values[1] - values[0])
    none = score_submission(submit("c.json", lambda e, g: None), rules, ground_truth)
    assert differences(odd, none, rules) == (0, {})


def test_instructions_per_path_are_limited(submit, rules):
    one = dataclasses.replace(rules, instructions_per_path=1)
    ground_truth = load_ground_truth(one)
    assert ground_truth.counted == {f"{path_id}_0" for path_id in range(100, 107)}
    scored = score_submission(submit("a.json", shortest, ground_truth), one, ground_truth)
    assert len(scored.episodes) == 7
    assert not scored.checked.faulty
    results = submission_results([scored], one)
    assert results["instructions_per_path"] == 1
    assert (results["world"], results["data_dir"]) == ("matterport", str(rules.data_dir))
    with pytest.raises(ValueError, match="--instructions-per-path 0"):
        dataclasses.replace(rules, instructions_per_path=0)


def test_results_by_language_and_split(submit, rules, capsys, tmp_path):
    both = dataclasses.replace(rules, dataset="rxr", splits=("train", "val_unseen"))
    ground_truth = load_ground_truth(both)
    path = submit("a.json", shortest, ground_truth)
    assert evaluate_submissions([path], both, tmp_path / "scores.json") == 0
    (outcome,) = json.loads((tmp_path / "scores.json").read_text())["submissions"]
    assert {k: v["episodes"] for k, v in outcome["by_language"].items()} == {"en": 11, "hi": 11}
    assert {k: v["episodes"] for k, v in outcome["by_split"].items()} == {
        "train": 14,
        "val_unseen": 8,
    }
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines if line.startswith(("en ", "hi ", "val_"))] == [
        ["en", "A", "11"],
        ["hi", "A", "11"],
        ["val_unseen", "A", "8"],
    ]
    hindi = dataclasses.replace(both, instruction_language="hi")
    scored = score_submission(path, hindi)
    assert {e.language for e in scored.episodes} == {"hi-IN"}
    assert not scored.checked.faulty
    whole = dataclasses.replace(both, instruction_language="hi-IN")
    assert load_ground_truth(whole).counted == load_ground_truth(hindi).counted
    with pytest.raises(ValueError, match=r"--instruction-language te.*only en-IN, hi-IN;"):
        load_ground_truth(dataclasses.replace(both, instruction_language="te"))


def test_report_compares_files(submit, ground_truth, rules, capsys, tmp_path):
    good, bad = submit("good.json", shortest), submit("bad.json", lazy_or_lost)
    broken = submit("broken.json", lambda e, g: shortest(e, g)[1:] if e.path_id == 100 else None)
    out = tmp_path / "scores.json"
    assert evaluate_submissions([bad, good, broken], rules, out) == 1
    text = capsys.readouterr().out
    header = next(line for line in text.splitlines() if line.startswith("metric"))
    assert header.split() == ["metric", "A", "B", "B", "-", "A"]
    assert "C = " in text
    assert "FAULT: paths that do not begin at the start (not counted): 2 (100_0" in text
    written = json.loads(out.read_text())
    assert [one["file"] for one in written["submissions"]] == [str(bad), str(good), str(broken)]
    assert written["differences"][0]["instructions"] == 14
    assert written["differences"][0]["metrics"]["NE"]["low"] is None  # a single building
    assert "none for a single building" in text
    assert "[" not in text.partition("metric")[2]
    assert written["differences"][1]["instructions"] == 0
    assert "summary" not in written["submissions"][2]


@pytest.mark.parametrize("dataset", ["r2r", "rxr"])
def test_files_of_our_writers_have_no_faults(dataset, rules, tmp_path):
    rules = dataclasses.replace(rules, dataset=dataset)
    ground_truth = load_ground_truth(rules)
    files = world_files("matterport", rules.data_dir)
    walks = {
        e.instr_id: [(v, 0.5, 0.0) for v in turning(e, ground_truth.graphs[e.scan])]
        for e in ground_truth.episodes
    }
    path = tmp_path / "walks.jsonl"
    # The tiny RxR has two languages.
    write_submission(path, walks, ground_truth.episodes, files, dataset, partial=True)
    checked = score_submission(path, rules, ground_truth).checked
    assert not checked.faulty
    stays = dataset == "r2r"  # the server of RxR accepts each viewpoint once
    assert [f.kind.startswith("paths that repeat") for f in checked.findings] == [True] * stays
    assert len(checked.trajectories) == 14


def test_secret_goals_give_checks_without_scores(rules, submit, capsys):
    secret = dataclasses.replace(rules, splits=("test",))
    ground_truth = load_ground_truth(secret)
    path = submit("a.json", lambda e, g: [e.path[0]], ground_truth)
    assert evaluate_submissions([path], secret) == 0
    assert "secret" in capsys.readouterr().out


def test_files_that_are_not_submissions_are_refused(rules, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.json"):
        evaluate_submissions([tmp_path / "none.json"], rules)
    (tmp_path / "cut.json").write_text('[{"instr_id": "100_0"}, {"ins')
    with pytest.raises(ValueError, match=r"cut\.json: record 1: not valid JSON"):
        evaluate_submissions([tmp_path / "cut.json"], rules)


def test_three_instructions_per_path_match_the_original_scorer(shared, submit):
    rules = ScoringRules(splits=("val_seen",), data_dir=shared / "data", instructions_per_path=3)
    ground_truth = load_ground_truth(rules)
    assert (len(ground_truth.episodes), len(ground_truth.counted)) == (1021, 1020)
    golden = json.loads((shared / "golden" / "r2r_baseline_metrics.json").read_text())["val_seen"]
    for agent, walk in [("Stop", lambda e, g: [e.path[0]]), ("Shortest", shortest)]:
        scored = score_submission(submit("a.json", walk, ground_truth), rules, ground_truth)
        assert len(scored.episodes) == 1020
        summary = submission_results([scored], rules)["submissions"][0]["summary"]
        figures = [summary[name] for name in ("TL", "NE", "OSR", "SR", "SPL")]
        expected = golden[agent].values()
        assert figures == pytest.approx(list(expected), abs=1e-9)
