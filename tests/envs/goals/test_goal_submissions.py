"""Submission files of datasets with goals, in the forms of their servers."""

import json

import pytest

from clipnav.envs.episodes import load_episodes
from clipnav.envs.navigation.vln_env import make_vln_vector_env
from clipnav.envs.submissions.files import write_submission
from clipnav.envs.submissions.ground_truth import ScoringRules, load_ground_truth
from clipnav.envs.submissions.scores import score_submission
from clipnav.envs.worlds import world_files
from tests.goal_files import write_targets

CENTRE = [6.2 / 6.283185307179586, (0.1 + 3.141592653589793) / 6.283185307179586]


def reverie_record(episode, path):
    poses = [[viewpoint, 0.0, 0.0] for viewpoint in path]
    return {
        "instr_id": episode.instr_id,
        "trajectory": poses,
        "predObjId": int(episode.goal.object_id),
    }


def soon_record(episode, path):
    poses = [[viewpoint, 0, 0] for viewpoint in path]
    walk = {"path": poses, "obj_heading": [CENTRE[0]], "obj_elevation": [CENTRE[1]]}
    return {"instr_id": int(episode.path_id), "trajectory": [walk]}


def cvdn_record(episode, path):
    poses = [[viewpoint, 0.0, 0.0] for viewpoint in path]
    return {"inst_idx": int(episode.instr_id), "trajectory": poses}


def object_record(episode, path):
    return {"instr_id": f"mp3d_{episode.instr_id}", "trajectory": [[v, 0, 0] for v in path]}


RECORDS = {
    "reverie": reverie_record,
    "soon": soon_record,
    "cvdn": cvdn_record,
    "objectnav": object_record,
}
FULL = {
    "reverie": {"SR": 1, "RGS": 1, "RGSPL": 1},
    "soon": {"SR": 1, "SPL": 1, "det_SR": 1, "det_SPL": 1},
    "cvdn": {"SR": 1, "OPSR": 1},
    "objectnav": {"SR": 1},
}


def submit(folder, dataset, truth, record=None):
    record = record or RECORDS[dataset]
    graphs = truth.graphs
    records = [
        record(e, graphs[e.scan].shortest_path(e.path[0], e.path[-1])) for e in truth.episodes
    ]
    path = folder / f"{dataset}.json"
    path.write_text(json.dumps(records))
    return path


@pytest.mark.parametrize("dataset", RECORDS)
def test_shortest_paths_with_right_answers_have_full_scores(dataset, tiny_world, tmp_path):
    rules = ScoringRules(dataset=dataset, data_dir=tiny_world, resamples=50)
    truth = load_ground_truth(rules)
    scored = score_submission(submit(tmp_path, dataset, truth), rules, truth)
    assert scored.checked.findings == []
    for name, value in FULL[dataset].items():
        assert scored.summary[name] == pytest.approx(value), name
    assert scored.version == ("v1" if dataset == "reverie" else "")


def duets_record(episode, path):
    decisions = [path[:1], *([viewpoint] for viewpoint in path[1:])]
    walk = {"path": decisions, "obj_heading": CENTRE[:1], "obj_elevation": CENTRE[1:]}
    return {"instr_id": episode.instr_id, "trajectory": walk}


def test_duets_form_of_soon_has_the_scores_of_sames(tiny_world, tmp_path):
    rules = ScoringRules(dataset="soon", data_dir=tiny_world, resamples=50)
    truth = load_ground_truth(rules)
    scored = score_submission(submit(tmp_path, "soon", truth, duets_record), rules, truth)
    assert scored.checked.findings == []
    expected = score_submission(submit(tmp_path, "soon", truth), rules, truth)
    assert scored.summary == expected.summary
    assert scored.summary["det_SR"] == 1


def test_reports_name_version_and_definition(tiny_world, tmp_path, run_command):
    rules = ScoringRules(dataset="reverie", data_dir=tiny_world)
    path = submit(tmp_path, "reverie", load_ground_truth(rules), reverie_record)
    arguments = (path, "--dataset", "reverie", "--data-dir", tiny_world, "--resamples", 50)
    text = run_command("evaluate-submission", *arguments, "--json", tmp_path / "scores.json")
    assert "4 of 4 instructions of reverie v1 val_unseen usable" in text
    assert "by the definition 'official'" in text
    assert "RGSPL" in text
    document = json.loads((tmp_path / "scores.json").read_text())
    assert document["definition"] == "official"
    assert document["submissions"][0]["version"] == "v1"
    assert document["submissions"][0]["intervals"]["RGS"]["mean"] == 1
    text = run_command("evaluate-submission", *arguments, "--definition", "with_success")
    assert "by the definition 'with_success'" in text


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"dataset": "soon", "definition": "official"}, "--definition official.*unwrapped, soon"),
        ({"dataset": "r2r", "definition": "official"}, "--definition official.*leave it out"),
        ({"dataset": "soon", "threshold": 2.0}, "--threshold 2 has no effect with --dataset soon"),
    ],
)
def test_definitions_of_other_datasets_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        ScoringRules(**given)


@pytest.mark.parametrize(
    ("dataset", "change"),
    [
        ("reverie", {"predObjId": [7]}),
        (
            "soon",
            {"trajectory": [{"path": [["b0", 0, 0]], "obj_heading": 0, "obj_elevation": "x"}]},
        ),
        ("soon", {"trajectory": {"path": [["b0"]], "obj_heading": [{}], "obj_elevation": [0]}}),
    ],
)
def test_an_answer_of_the_wrong_type_is_an_unreadable_record(dataset, change, tiny_world, tmp_path):
    rules = ScoringRules(dataset=dataset, data_dir=tiny_world, resamples=50)
    truth = load_ground_truth(rules)
    path = submit(tmp_path, dataset, truth, lambda *given: RECORDS[dataset](*given) | change)
    (unreadable, missing) = score_submission(path, rules, truth).checked.findings
    assert unreadable.kind.startswith("records that cannot be read")
    assert len(unreadable.cases) == len(missing.cases) == len(truth.episodes)


def test_spellings_of_sames_runs_are_known(tiny_world, tmp_path):
    rules = ScoringRules(dataset="soon", data_dir=tiny_world, resamples=50)
    truth = load_ground_truth(rules)
    ids = [f"soon_{number}_{e.instr_id}" for number, e in enumerate(truth.episodes)]
    records = [
        {"instr_id": name, "trajectory": [[v] for v in e.path]}
        for name, e in zip(ids, truth.episodes, strict=True)
    ]
    (tmp_path / "same.json").write_text(json.dumps(records))
    scored = score_submission(tmp_path / "same.json", rules, truth)
    assert scored.checked.usable == len(ids)
    assert scored.summary["det_SR"] == 0  # no answers


@pytest.mark.parametrize("dataset", RECORDS)
def test_written_files_are_read_back(dataset, tiny_world, tmp_path):
    files = world_files("matterport", tiny_world)
    episodes = load_episodes(dataset, "val_unseen", files)
    walks = {e.instr_id: [(e.path[0], 0.0, 0.0)] for e in episodes}
    write_submission(tmp_path / "own.json", walks, episodes, files, dataset)
    rules = ScoringRules(dataset=dataset, data_dir=tiny_world, resamples=50)
    scored = score_submission(tmp_path / "own.json", rules)
    assert scored.checked.usable == len(episodes)
    assert scored.summary["moves"] == 0


@pytest.mark.parametrize("objects", ["none", "objects.safetensors"])
@pytest.mark.parametrize("dataset", RECORDS)
def test_evaluations_have_the_scores_of_the_submission(dataset, objects, tiny_arguments, tmp_path):
    from clipnav.agents.acting.baselines import TeacherAgent
    from clipnav.agents.acting.evaluation import evaluate

    files = world_files("matterport", tiny_arguments["data_dir"])
    if objects != "none":
        episodes = load_episodes(dataset, "val_unseen", files)
        write_targets(tmp_path / objects, {episode.scan for episode in episodes})
        objects = tmp_path / objects
    env = make_vln_vector_env(
        2, "Disabled", **tiny_arguments, dataset=dataset, split="val_unseen", objects=objects
    )
    evaluation = evaluate(env, TeacherAgent())
    path = tmp_path / "own.json"
    walks, answers = evaluation.trajectories, evaluation.answers
    write_submission(path, walks, env.episodes, files, dataset, answers=answers)
    rules = ScoringRules(dataset=dataset, data_dir=files.annotations_dir, resamples=50)
    submitted = score_submission(path, rules).summary
    for name, value in evaluation.summary().items():
        assert submitted[name] == pytest.approx(value), name
    if objects != "none" and dataset == "reverie":
        assert submitted["RGS"] == 1
