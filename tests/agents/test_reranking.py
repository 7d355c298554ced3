import dataclasses

import pytest
import torch

from agents.command_line import EvaluateConfig
from agents.configs import SearchConfig, SpeakerConfig
from agents.envdrop.speaker import Speaker
from agents.environments import make_env, make_follower
from agents.evaluation import evaluate
from agents.follower_agent import FollowerAgent
from agents.follower_training import follower_trainer
from agents.reranking import Judged, Weighting, best, poses, tune, whole_walk
from agents.search import Findings, FoundPath, Place
from agents.search_evaluation import evaluate_search, search_split, tuned_weighting
from agents.speaker_training import LoadedSpeaker
from agents.speaking import described_paths
from agents.submission import evaluate_run
from envs.device_features import DeviceFeatures


def path(likelihood, *nodes):
    return FoundPath(
        tuple(Place(node, 0) for node in nodes), (1,) * (len(nodes) - 1) + (0,), likelihood
    )


SHORT, LONG = path(-1.0, 0, 1), path(-2.5, 0, 1, 2, 3)
JUDGED = [Judged(SHORT, -10.0, 5), Judged(LONG, -6.0, 5)]


def test_weighting_decides_between_follower_and_speaker():
    assert best(JUDGED, Weighting(0.0)) is SHORT
    assert best(JUDGED, Weighting(1.0)) is LONG
    assert JUDGED[0].score(Weighting(0.25)) == pytest.approx(0.25 * -10 + 0.75 * -1)
    assert JUDGED[0].score(Weighting(0.25, per_word=True)) == pytest.approx(0.25 * -2 - 0.75)
    per_action = Weighting(0.25, per_action=True)
    assert JUDGED[1].score(per_action) == pytest.approx(0.25 * -6 + 0.75 * -2.5 / 4)


def test_tuning_finds_the_weight_that_wins():
    # The speaker is right here, but for a second instruction the follower, by a larger margin.
    others = [Judged(SHORT, -1.5, 5), Judged(path(-9.0, 0, 2), -1.0, 5)]
    values = [{SHORT: 0.0, LONG: 1.0}, {SHORT: 1.0, others[1].path: 0.0}]
    weighting, mean = tune([JUDGED, others], values)
    assert mean == 1.0
    assert best(JUDGED, weighting) is LONG
    assert best(others, weighting) is SHORT


def test_the_walk_of_a_search_goes_back_and_forth(doors_env):
    # Look around at the centre and two doors, go back, then walk to the first door.
    world = doors_env.nav_world
    scan = "room0"
    centre, first, second = (world.node(scan, f"{scan}-{name}") for name in "c01")
    chosen = FoundPath((Place(centre, 12), Place(first, 12)), (1, 0), -1.0)
    found = Findings([chosen], [centre, first, second])
    walked = whole_walk(world, found, chosen)
    assert walked == [centre, first, centre, second, centre, first]
    walk = poses(world, Place(centre, 12), walked)
    assert [pose[0] for pose in walk] == [str(world.viewpoint_ids[node]) for node in walked]
    # Door 1 lies to the east: the agent that goes there looks along 90 degrees.
    assert walk[3][1] == pytest.approx(torch.pi / 2)


@pytest.fixture
def searched(doors_config, doors_env):
    torch.manual_seed(0)
    follower = make_follower(doors_config, doors_env).eval()
    config = SpeakerConfig(embedding_size=8, hidden_size=16)
    speaker = Speaker(len(doors_env.tokenizer), 4, 4, 1, config).eval()
    features = DeviceFeatures(doors_env)
    search = SearchConfig(method="best-first", paths=3)
    found = search_split(
        doors_env,
        follower,
        features,
        search,
        LoadedSpeaker(speaker, ["en"], doors_env.tokenizer, 80),
    )
    return found, speaker, features


def test_speaker_judges_found_paths_as_any_others(doors_env, searched):
    found, speaker, features = searched
    assert len(found.findings) == len(doors_env.episodes)
    for episode in doors_env.episodes[:8]:
        described = described_paths(doors_env, features, [episode.instr_id])
        with torch.inference_mode():
            tokens = torch.from_numpy(described.tokens)
            context = speaker.look(described.seen)
            spoken = speaker.likelihoods(context, tokens, torch.zeros(1, dtype=torch.long)).sum()
        ids = doors_env.nav_world.viewpoint_ids
        for judged in found.judged[episode.instr_id]:
            assert judged.words == (described.tokens != 0).sum() - 1
            if [ids[place.node] for place in judged.path.places] == list(episode.path):
                assert judged.spoken == pytest.approx(spoken.item(), rel=1e-5)


def test_chosen_paths_are_scored_with_and_without_the_walk(doors_env, searched):
    found, _, _ = searched
    alone, whole = evaluate_search(doors_env, found, Weighting(0.5))
    assert alone.summary()["SR"] == whole.summary()["SR"]
    assert alone.summary()["TL"] < whole.summary()["TL"]
    weighting, success = tuned_weighting(doors_env, found)
    assert evaluate_search(doors_env, found, weighting)[0].summary()["SR"] == pytest.approx(success)


def test_searching_equals_walking_greedily_with_a_beam_of_one(doors_config):
    torch.manual_seed(0)
    env = make_env(doors_config, "val_unseen")
    follower = make_follower(doors_config, env).eval()
    features = DeviceFeatures(env)
    found = search_split(env, follower, features, SearchConfig(method="beam", paths=1))
    alone, _ = evaluate_search(env, found, Weighting(0.0))
    assert alone.trajectories == evaluate(env, FollowerAgent(follower, features)).trajectories


def test_command_evaluates_search_beside_the_single_run(small_config, capsys):
    config = dataclasses.replace(small_config, iterations=2)
    follower_trainer(config)[0].train()
    search = SearchConfig(method="beam", paths=2)
    results = evaluate_run(EvaluateConfig(config.output, baselines=False, search=search))
    assert list(results["val_unseen"]) == [
        "follower",
        "follower, beam",
        "follower, beam, whole walk",
    ]
