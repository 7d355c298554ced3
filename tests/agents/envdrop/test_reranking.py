import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from clipnav.agents.acting.environments import make_env
from clipnav.agents.acting.evaluation import evaluate
from clipnav.agents.envdrop.follower_agent import FollowerAgent
from clipnav.agents.envdrop.learner import FollowerLearner, make_follower
from clipnav.agents.envdrop.path_recording import record_paths
from clipnav.agents.envdrop.search import (
    FoundPath,
    Position,
    RankedPath,
    SearchResult,
    Weighting,
    best_path,
    poses,
    search_walk,
    tune_weighting,
)
from clipnav.agents.envdrop.speaker import Speaker
from clipnav.agents.envdrop.speaker_training import LoadedSpeaker, load_speaker
from clipnav.agents.experiments.runs import (
    best_weighting,
    evaluate_run,
    evaluate_search,
    load_run,
    search_split,
)
from clipnav.agents.learning.agent_learner import make_agent_trainer
from clipnav.agents.settings import EvaluateConfig, SearchConfig, SpeakerConfig
from clipnav.envs.navigation.device_features import DeviceFeatures


def path(log_prob, *nodes):
    return FoundPath(
        tuple(Position(node, 0) for node in nodes), (1,) * (len(nodes) - 1) + (0,), log_prob
    )


SHORT, LONG = path(-1.0, 0, 1), path(-2.5, 0, 1, 2, 3)
JUDGED = [RankedPath(SHORT, -10.0, 5), RankedPath(LONG, -6.0, 5)]


def test_tuning_finds_the_best_weighting():
    # The speaker ranks JUDGED correctly; the follower ranks `others` correctly, by a larger margin.
    others = [RankedPath(SHORT, -1.5, 5), RankedPath(path(-9.0, 0, 2), -1.0, 5)]
    values = [{SHORT: 0.0, LONG: 1.0}, {SHORT: 1.0, others[1].path: 0.0}]
    weighting, mean = tune_weighting([JUDGED, others], values)
    assert mean == 1.0
    assert best_path(JUDGED, weighting) is LONG
    assert best_path(others, weighting) is SHORT


def test_search_walk_visits_expanded_viewpoints(doors_env):
    # Look around at the centre and two doors, go back, then walk to the first door.
    world = doors_env.nav_world
    scan = "room0"
    centre, first, second = (world.node(scan, f"{scan}-{name}") for name in "c01")
    chosen = FoundPath((Position(centre, 12), Position(first, 12)), (1, 0), -1.0)
    found = SearchResult([chosen], [centre, first, second])
    walked = search_walk(world, found, chosen)
    assert walked == [centre, first, centre, second, centre, first]
    walk = poses(world, Position(centre, 12), walked)
    assert [pose[0] for pose in walk] == [str(world.viewpoint_ids[node]) for node in walked]
    # Door 1 is to the east, so an agent that moves there has a heading of 90 degrees.
    assert walk[3][1] == pytest.approx(torch.pi / 2)


def test_search_walk_passes_only_viewpoints_that_it_has_visited():
    # From 1 to 2, the way over 3 is shorter, but the agent has never been there.
    neighbours = {0: [1, 2], 1: [0, 3, 4], 2: [0, 3], 3: [1, 2], 4: [1]}
    metres = {(0, 1): 5.0, (0, 2): 5.0, (1, 3): 1.0, (2, 3): 1.0, (1, 4): 1.0}
    targets = np.array([[node, *(near + [node] * 3)[:3]] for node, near in neighbours.items()])
    mask = (targets != np.arange(5)[:, None]) | (np.arange(4) == 0)

    def distance(node, others):
        return np.array([metres[min(int(node), other), max(int(node), other)] for other in others])

    world = SimpleNamespace(targets=targets, mask=mask, distance=distance)
    walked = search_walk(world, SearchResult([], [0, 1, 2, 4]), path(0.0, 0))
    assert walked == [0, 1, 0, 2, 0, 1, 4, 1, 0]


@pytest.fixture
def searched(doors_config, doors_env):
    torch.manual_seed(0)
    follower = make_follower(doors_config, doors_env).eval()
    config = SpeakerConfig(embedding_size=8, hidden_size=16)
    speaker = Speaker(len(doors_env.tokenizer), 4, 4, 1, config).eval()
    features = DeviceFeatures(doors_env)
    search = SearchConfig(method="best-first", paths=3)
    loaded = LoadedSpeaker(speaker, ["en"], doors_env.tokenizer, 80, 80)
    found = search_split(doors_env, FollowerAgent(follower, features), search, loaded)
    return found, speaker, features


def test_speaker_scores_found_paths_like_reference_paths(doors_env, searched):
    found, speaker, features = searched
    assert len(found.results) == len(doors_env.episodes)
    compared = 0
    for episode in doors_env.episodes[:8]:
        described = record_paths(doors_env, features, [episode.instr_id])
        with torch.inference_mode():
            tokens = torch.from_numpy(described.tokens)
            context = speaker.encode(described.views)
            log_prob = speaker.log_probs(context, tokens, torch.zeros(1, dtype=torch.long)).sum()
        ids = doors_env.nav_world.viewpoint_ids
        for ranked in found.ranked[episode.instr_id]:
            assert ranked.words == (described.tokens != 0).sum() - 1
            if [ids[position.node] for position in ranked.path.positions] == list(episode.path):
                assert ranked.speaker_log_prob == pytest.approx(log_prob.item(), rel=1e-5)
                compared += 1
    assert compared > 1


def test_search_with_beam_width_one_equals_the_greedy_walk(doors_config):
    torch.manual_seed(0)
    env = make_env(doors_config, "val_unseen")
    follower = make_follower(doors_config, env).eval()
    agent = FollowerAgent(follower, DeviceFeatures(env))
    found = search_split(env, agent, SearchConfig(method="beam", paths=1))
    alone, _ = evaluate_search(env, found, Weighting(0.0))
    assert alone.trajectories == evaluate(env, agent).trajectories


def test_search_is_tuned_on_one_split_and_submits_the_whole_walk(
    small_config, speaker_run, tmp_path, capsys
):
    config = dataclasses.replace(small_config, iterations=1)
    make_agent_trainer(FollowerLearner, config)[0].train()
    path = tmp_path / "paths.json"
    search = SearchConfig(method="beam", paths=4, speaker=speaker_run, tune="val_seen")
    evaluation = EvaluateConfig(config.output, baselines=False, search=search, submission=path)
    results = evaluate_run(evaluation)["val_unseen"]
    names = ["follower", "follower, beam and speaker"]
    assert list(results) == [*names, f"{names[1]}, whole walk"]
    tuned = capsys.readouterr().out.splitlines()[0]

    found = {}
    for split in ("val_seen", "val_unseen"):
        env, agent = load_run(config.output, split)
        speaker = load_speaker(speaker_run, env, {"encoder": "colours"}, "cpu")
        found[split] = env, search_split(env, agent, search, speaker)
    weighting, success = best_weighting(*found["val_seen"])
    alpha, *flags = tuned.removeprefix(f"val_seen: success {100 * success:.1f} with ").split(" --")
    assert alpha == f"--search.alpha {weighting.alpha:g}"
    chosen = {"search.per-word": weighting.per_word, "search.per-action": weighting.per_action}
    assert flags == [name for name, value in chosen.items() if value]
    alone, whole = evaluate_search(*found["val_unseen"], weighting)
    untuned, _ = evaluate_search(*found["val_unseen"], Weighting(1.0))
    assert alone.trajectories != untuned.trajectories
    for name, evaluation in zip(list(results)[1:], (alone, whole), strict=True):
        assert results[name] == evaluation.summary()
    written = {item["instr_id"]: item["trajectory"] for item in json.loads(path.read_text())}
    walked = {one: [list(pose) for pose in poses] for one, poses in whole.trajectories.items()}
    assert written == walked
