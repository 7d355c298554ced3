import dataclasses
import json

import pytest
import torch

from clipnav.agents.acting.evaluation import evaluate
from clipnav.agents.duet.settings import map_preset
from clipnav.agents.envdrop.learner import FollowerLearner
from clipnav.agents.envdrop.settings import preset
from clipnav.agents.experiments import training
from clipnav.agents.experiments.runs import evaluate_run, load_run, load_walkers, write_submission
from clipnav.agents.experiments.training import train
from clipnav.agents.frontier.settings import frontier_preset
from clipnav.agents.learning.agent_learner import make_agent_trainer
from clipnav.agents.settings import EvaluateConfig, ReinforcementConfig, SearchConfig
from clipnav.envs.episodes import load_episodes
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.navigation.settings import EnvSettings
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.tokenizers import WordTokenizer
from clipnav.envs.worlds import world_files
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.store import FeatureStore
from clipnav.viewer.trace import record


@pytest.fixture
def run(tiny_world, small_config):
    """A run in a world with a test split."""
    config = dataclasses.replace(
        small_config,
        data_dir=tiny_world,
        features=tiny_world / "features.safetensors",
        iterations=2,
    )
    make_agent_trainer(FollowerLearner, config)[0].train()
    return config.output


def test_an_agent_acts_in_the_environments_that_it_was_loaded_for(run, doors):
    env, agent = load_run(run, "val_unseen")
    again, _ = load_run(run, "val_unseen")
    assert evaluate(again, agent).scores == evaluate(env, agent).scores
    ids = [env.episodes[0].instr_id]
    tokenizer, indices = env.tokenizer, EnvSettings(observe="indices")
    unlike = {
        "viewpoints": load_split(
            "r2r", "val_unseen", "matterport", doors, "none", tokenizer=tokenizer
        ),
        "observations": env.split,
        "tokens": dataclasses.replace(env.split, tokenizer=WordTokenizer.build(["to the left"], 1)),
    }
    for kind, split in unlike.items():
        views = EnvSettings() if kind == "observations" else indices
        other = VlnVectorEnv(split, 2, autoreset_mode="Disabled", settings=views)
        refusal = r"loaded for r2r val_unseen.*load_run\(run, 'val_unseen'\)"
        with pytest.raises(ValueError, match=refusal):
            evaluate(other, agent)
        with pytest.raises(ValueError, match=refusal):
            record(other, agent, ids, name="follower")


def test_evaluation_includes_the_baselines(run, capsys):
    path = run / "scores.json"
    results = evaluate_run(EvaluateConfig(run, threads=1, json=path))
    assert json.loads(path.read_text()) == {"results": results}
    assert list(results) == ["val_unseen"]
    assert list(results["val_unseen"]) == ["follower", "random", "forward", "shortest path"]
    assert "nDTW" in capsys.readouterr().out
    again = evaluate_run(EvaluateConfig(run, baselines=False, batch_size=3))
    assert again["val_unseen"] == {"follower": results["val_unseen"]["follower"]}


def test_a_speaker_would_read_instructions_that_an_ablation_hides(run, tmp_path):
    search = SearchConfig(method="beam", speaker=tmp_path / "speaker")
    config = EvaluateConfig(run, instruction_ablation="empty", search=search)
    with pytest.raises(ValueError, match=r"speaker and --instruction-ablation empty exclude"):
        evaluate_run(config)
    with pytest.raises(ValueError, match=r"leave the speaker out, or add --instruction-ablation"):
        load_walkers(config, "val_unseen")
    shuffled = dataclasses.replace(config, instruction_ablation="shuffled")
    with pytest.raises(FileNotFoundError, match=r"speaker/config\.json"):
        evaluate_run(shuffled)


def test_scores_survive_an_interruption_in_a_later_split(run, tmp_path):
    scored, path = [], tmp_path / "scores.json"

    def interrupted(env, agent, name, instr_ids):
        if scored:
            assert list(json.loads(path.read_text())["results"]) == ["val_unseen"]
            raise KeyboardInterrupt
        scored.extend(instr_ids)
        record(env, agent, instr_ids, name=name)

    splits = ("val_unseen", "train")
    config = EvaluateConfig(run, splits, baselines=False, batch_size=99, json=path)
    with pytest.raises(KeyboardInterrupt):
        evaluate_run(config, interrupted)
    results = evaluate_run(dataclasses.replace(config, splits=splits[:1], json=None))
    assert json.loads(path.read_text()) == {"results": results}


def test_submission_of_a_split_with_unpublished_goals(run, tmp_path, capsys):
    path = tmp_path / "test.json"
    assert evaluate_run(EvaluateConfig(run, ("test",), submission=path)) == {}
    items = json.loads(path.read_text())
    assert sorted(item["instr_id"] for item in items) == ["300_0", "300_1", "301_0", "301_1"]
    for item in items:
        assert item["trajectory"][0][0] == {"300": "b2", "301": "b4"}[item["instr_id"][:3]]
        assert all(len(pose) == 3 for pose in item["trajectory"])
    assert "not published" in capsys.readouterr().out


def test_features_of_another_encoder_are_refused(run, tiny_world, tmp_path):
    store = open_store(tiny_world / "features.safetensors")
    other = tmp_path / "other.safetensors"
    FeatureStore.write(other, store.views[:], store.keys, {"encoder": "other"})
    with pytest.raises(ValueError, match="encoder test, but here it is other"):
        evaluate_run(EvaluateConfig(run, features=other))
    FeatureStore.write(other, store.views[..., :5], store.keys, {"encoder": "test"})
    with pytest.raises(
        ValueError, match=r"visual width 8, but here it is 5; .*\(in its config\.json\)"
    ):
        evaluate_run(EvaluateConfig(run, features=other))


def test_a_missing_device_is_named(run, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="--device cuda: torch detects 0 CUDA devices"):
        evaluate_run(EvaluateConfig(run, device="cuda"))


def test_several_splits_and_ablations_of_a_trained_run(doors_config, capsys):
    train(dataclasses.replace(doors_config, iterations=150))
    capsys.readouterr()
    evaluation = EvaluateConfig(doors_config.output, ("val_seen", "val_unseen"), baselines=False)
    results = evaluate_run(evaluation)
    assert [results[split]["follower"]["SR"] > 0.8 for split in evaluation.splits] == [True, True]
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["split", "val_seen", "val_unseen"]
    shuffled = evaluate_run(dataclasses.replace(evaluation, instruction_ablation="shuffled"))
    # Words of another path in the room, or in another one, name the wrong door three times of four.
    assert shuffled["val_unseen"]["follower (shuffled instructions)"]["SR"] < 0.6
    empty = evaluate_run(dataclasses.replace(evaluation, instruction_ablation="empty"))
    assert empty["val_unseen"]["follower (empty instructions)"]["SR"] < 0.6


def test_missing_data_is_named_before_the_walk(run, monkeypatch):
    monkeypatch.setattr("clipnav.agents.experiments.runs.load_run", None)
    with pytest.raises(
        FileNotFoundError, match=r"'gone' of r2r; name one of .*: test, train, val_"
    ):
        evaluate_run(EvaluateConfig(run, ("val_unseen", "gone")))
    with pytest.raises(ValueError, match=r"but clipnav train-speaker is needed"):
        evaluate_run(EvaluateConfig(run, search=SearchConfig("beam", speaker=run)))
    search = SearchConfig("beam", speaker=run, tune="gone")
    with pytest.raises(FileNotFoundError, match="'gone' of r2r"):
        evaluate_run(EvaluateConfig(run, search=search))


def test_a_search_while_walking_is_tuned_submitted_and_traced(run, tmp_path, capsys):
    search = SearchConfig("frontier", tune="train")
    submission = tmp_path / "paths.json"
    config = EvaluateConfig(run, submission=submission, search=search, baselines=False)
    results = evaluate_run(config)["val_unseen"]
    assert list(results) == ["follower", "follower, frontier"]
    assert "with --search.metre-cost" in capsys.readouterr().out
    settings, env, walkers = load_walkers(config, "val_unseen")
    assert list(walkers) == ["follower", "follower, frontier"]
    walks = evaluate(env, walkers["follower, frontier"])
    submitted = {
        item["instr_id"]: item["trajectory"] for item in json.loads(submission.read_text())
    }
    walked = {name: [list(pose) for pose in path] for name, path in walks.trajectories.items()}
    assert submitted == walked
    assert settings.agent == "follower"


@pytest.mark.parametrize(("split", "warns"), [("train", False), ("val_unseen", True)])
def test_a_split_that_tunes_the_search_and_is_evaluated_is_named(run, split, warns, caplog):
    search = SearchConfig("frontier", tune=split)
    evaluate_run(EvaluateConfig(run, search=search, baselines=False))
    assert ("val_unseen tunes the search and is evaluated" in caplog.text) is warns


@pytest.mark.parametrize("method", ["frontier", "beam"])
def test_a_split_with_secret_goals_tunes_no_search(run, speaker_run, method):
    speaker = None if method == "frontier" else speaker_run
    search = SearchConfig(method, speaker=speaker, tune="test")
    with pytest.raises(ValueError, match=r"--search\.tune test: its goals are not published"):
        evaluate_run(EvaluateConfig(run, search=search, baselines=False))


def test_each_episode_is_walked_once_for_scores_and_traces(run, monkeypatch):
    config = EvaluateConfig(run, search=SearchConfig("frontier"), batch_size=5)
    expected = evaluate_run(config)
    traces = {}

    def record_batch(env, agent, name, instr_ids):
        traces.setdefault(name, []).extend(record(env, agent, instr_ids, name=name))

    monkeypatch.delattr("clipnav.agents.acting.evaluation.walk_to_ends")
    assert evaluate_run(config, record_batch) == expected
    _, env, walkers = load_walkers(config, "val_unseen")
    assert list(traces) == list(walkers) == list(expected["val_unseen"])
    ids = [episode.instr_id for episode in env.episodes]
    with torch.inference_mode():
        for name, walker in walkers.items():
            alone = record(env, walker, ids, name=name)
            assert sorted(traces[name], key=lambda trace: ids.index(trace.instr_id)) == alone


def test_submission_of_one_language_is_refused_before_the_walk(small_config, tmp_path, monkeypatch):
    config = dataclasses.replace(
        small_config, dataset="rxr", instruction_language="hi", iterations=1
    )
    make_agent_trainer(FollowerLearner, config)[0].train()
    path = tmp_path / "new" / "paths.jsonl"
    evaluation = EvaluateConfig(config.output, baselines=False, submission=path)
    with monkeypatch.context() as patch:
        patch.setattr("clipnav.agents.experiments.runs.load_run", None)
        with pytest.raises(ValueError, match=r"has --instruction-language hi; .*--partial"):
            evaluate_run(evaluation)
    assert not path.parent.exists()
    evaluate_run(dataclasses.replace(evaluation, partial=True))
    assert len(path.read_text().splitlines()) == 8


def test_rxr_submissions_are_json_lines_in_every_world(tmp_path):
    config = preset("rxr", "houses")
    episodes = load_episodes("rxr", "val_unseen", world_files("houses"))
    walked = {e.instr_id: [(e.path[0], e.heading, 0.0), (e.path[1], 0.0, 0.0)] for e in episodes}
    path = tmp_path / "paths.jsonl"
    write_submission(path, walked, episodes, world_files("houses"), config.dataset)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["path"] for line in lines] == [list(e.path[:2]) for e in episodes]
    assert [str(line["instruction_id"]) for line in lines] == list(walked)


@pytest.mark.parametrize(("iterations", "warns"), [(1_500, True), (1_501, False)])
def test_a_run_that_only_clones_warns(iterations, warns, monkeypatch, caplog):
    monkeypatch.setattr(training, "make_agent_trainer", lambda *_: ())
    monkeypatch.setattr(training, "train_and_compare", lambda: {})
    config = dataclasses.replace(map_preset("r2r", "houses"), iterations=iterations)
    training.train(config)
    expected = "all --iterations 1500 are among --cloning-iterations"
    assert (expected in caplog.text) is warns
    caplog.clear()
    training.train(dataclasses.replace(config, sampled_weight=0.0))
    assert not caplog.text


@pytest.mark.parametrize(("weight", "warns"), [(0.0, True), (1.0, False)])
def test_a_frontier_agent_with_reinforcement_does_not_clone(weight, warns, monkeypatch, caplog):
    monkeypatch.setattr(training, "make_agent_trainer", lambda *_: ())
    monkeypatch.setattr(training, "train_and_compare", lambda: {})
    config = dataclasses.replace(
        frontier_preset("r2r", "houses"),
        iterations=100,
        reinforcement=ReinforcementConfig(weight=weight),
    )
    training.train(config)
    assert ("the agent never acts on its own decisions" in caplog.text) is warns
