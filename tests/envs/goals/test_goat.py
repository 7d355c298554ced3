"""Chains of goals (GOAT): how they are made, walked and scored."""

import gzip
import json
from dataclasses import replace
from typing import Any, cast

import gymnasium as gym
import networkx as nx
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

from clipnav.agents.acting.baselines import ForwardAgent, RandomAgent, TeacherAgent
from clipnav.agents.acting.evaluation import evaluate
from clipnav.agents.experiments.runs import search_split
from clipnav.agents.settings import SearchConfig
from clipnav.envs.episodes import load_episodes
from clipnav.envs.episodes.chains import chain_ends, chain_rounds, check_no_chains, moved
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.goals.goat import EDGES, KINDS, SIZE
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.navigation.chain_env import ChainEnv
from clipnav.envs.navigation.settings import EnvSettings
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.submissions.files import write_submission
from clipnav.envs.submissions.ground_truth import ScoringRules, load_ground_truth
from clipnav.envs.submissions.scores import score_submission
from clipnav.envs.worlds import WorldFiles, world_files
from tests.goal_files import soon_box, write

HOUSES = world_files("houses")


@pytest.fixture
def attic(tiny_world, tmp_path):
    """Function that writes descriptions and categories with their viewpoints as a house's files.

    Descriptions are paths by the number of their object; the viewpoints after the start see it.
    """
    connectivity = tiny_world / "matterport" / "connectivity"

    def build(descriptions, categories):
        lines = [
            {
                "path_id": str(20 + n),
                "scan": "attic",
                "path": path,
                "bboxes": [
                    {"image_id": one, "target": soon_box(k), "pseudo_label": {"obj_id": k}}
                    for one in path[1:]
                ],
                "instructions": [
                    {"full": f"Thing {n}.", "language": "en"},
                    {"full": f"The thing {n}.", "language": "en"},
                    {"full": f"वस्तु {n}।", "language": "hi-IN"},
                ],
            }
            for n, (k, path) in enumerate(descriptions)
        ]
        text = "".join(json.dumps(line) + "\n" for line in lines)
        path = tmp_path / "soon" / "train_enc_pseudo_obj_label.jsonl.gz"
        path.parent.mkdir()
        path.write_bytes(gzip.compress(text.encode()))
        objects = {
            f"attic.glb_{name}": [{"object_id": 1}, {"all_observation_viewpoint_ids": seen}]
            for name, seen in categories.items()
        }
        episodes = [
            {
                "episode_id": 10 * n + k,
                "scene_id": "houses/attic.glb",
                "goals_key": f"attic.glb_{name}",
                "path": ["a4", seen[0]],
                "instruction": f"{name} {language}",
                "language": language,
            }
            for n, (name, seen) in enumerate(categories.items())
            for k, language in enumerate(("en", "hi-IN"))
        ]
        write(tmp_path / "objectnav" / "train" / "attic.json", [objects, *episodes])
        return WorldFiles("houses", connectivity, None, tmp_path)

    return build


def test_a_chain_goes_on_to_the_next_goal_that_is_not_at_hand(attic):
    descriptions = [(0, ["a0", "a2"]), (0, ["a4", "a2"]), (2, ["a4", "a8"]), (3, ["a4", "a6"])]
    categories = {"bed": ["a0"], "chair": ["a6", "a8"], "lamp": ["a2"], "desk": ["a8"]}
    episodes = load_episodes("goat", "train", attic(descriptions, categories))
    english = [e for e in episodes if e.language == "en"]
    # Thing 1 is in the chain already. At a8 and at a6 the chair is at hand, so that the lamp and
    # the desk are next.
    assert [(e.instruction, e.path[0], e.path[-1]) for e in english] == [
        ("Thing 0.", "a0", "a2"),
        ("bed en", "a2", "a0"),
        ("Thing 2.", "a0", "a8"),
        ("lamp en", "a8", "a2"),
        ("Thing 3.", "a2", "a6"),
        ("desk en", "a6", "a8"),
    ]
    assert [(e.instr_id, e.follows) for e in english[:3]] == [
        ("20_en_0", ""),
        ("20_en_1", "20_en_0"),
        ("20_en_2", "20_en_1"),
    ]
    assert {e.goal.radius for e in english} == {0.0}
    hindi = [e for e in episodes if e.language == "hi-IN"]
    assert [e.instruction for e in hindi[:2]] == ["वस्तु 0।", "bed hi-IN"]
    assert [e.path for e in hindi] == [e.path for e in english]
    assert [e.path_id for e in hindi] == [e.path_id for e in english] == list(range(6))


def test_too_few_goals_make_no_chain(attic):
    files = attic([(0, ["a0", "a2"]), (1, ["a4", "a8"])], {"bed": ["a0"], "lamp": ["a2"]})
    with pytest.raises(ValueError, match=r"soon.*the file contains no episode; make the built-in"):
        load_episodes("goat", "train", files)


def test_damaged_sources_are_named(attic):
    files = attic([(0, ["a0", "a9"])], {"bed": ["a0"]})
    with pytest.raises(ValueError, match=r"train_enc_pseudo_obj_label.*path_id 20.*'a9'"):
        load_episodes("goat", "train", files)
    (files.annotations_dir / "objectnav" / "train" / "attic.json").write_text("[]")
    soon = files.annotations("goat", "train")
    soon.write_bytes(gzip.compress(gzip.decompress(soon.read_bytes()).replace(b"a9", b"a2")))
    with pytest.raises(ValueError, match=r"attic\.json: the file is empty"):
        load_episodes("goat", "train", files)


def test_other_worlds_have_no_chains(tiny_world):
    with pytest.raises(ValueError, match=r"'goat' has no annotations of Matterport3D.*'houses'"):
        load_episodes("goat", "train", world_files("matterport", tiny_world))


@pytest.fixture(scope="module")
def chains():
    return load_episodes("goat", "val_unseen", HOUSES)


def packed(path):
    return json.loads(gzip.decompress(path.read_bytes()))


def test_goals_of_the_houses_are_those_of_their_boxes(chains):
    """Every goal is found again by brute force over the boxes of the house."""
    boxes = packed(HOUSES.annotations_dir / "reverie" / "BBoxes.json.gz")
    seen: dict[tuple[str, int], set[str]] = {}
    for key, objects in boxes.items():
        scan, _, viewpoint = key.rpartition("_")
        for number in objects:
            seen.setdefault((scan, int(number)), set()).add(viewpoint)
    folder = HOUSES.annotations_dir / "soon"
    text = gzip.decompress((folder / "val_unseen_enc_pseudo_obj_label.jsonl.gz").read_bytes())
    targets: dict[tuple[str, str], list[int]] = {}
    for record in map(json.loads, text.splitlines()):
        for one in record["instructions"]:
            target = record["bboxes"][0]["pseudo_label"]["obj_id"]
            targets.setdefault((record["scan"], one["full"]), []).append(target)
    scans = {episode.scan for episode in chains}
    observed = {
        scan: packed(HOUSES.annotations_dir / "objectnav" / "val_unseen" / f"{scan}.json.gz")[0]
        for scan in scans
    }
    for episode in chains:
        goal = set(episode.goal.viewpoints)
        if episode.goal.kind == "object":
            name = episode.goal.category.replace(" ", "_")
            *instances, _ = observed[episode.scan][f"{episode.scan}.glb_{name}"]
            numbers = [one["object_id"] for one in instances]
            assert goal == set.union(*(seen[episode.scan, number] for number in numbers))
        else:
            numbers = targets[episode.scan, episode.instruction]
            assert goal in [seen[episode.scan, number] for number in numbers]


def test_chains_of_the_houses_lead_from_goal_to_goal(chains):
    graphs = {scan: NavGraph.load(scan).to_networkx() for scan in {e.scan for e in chains}}
    by_id = {episode.instr_id: episode for episode in chains}
    by_chain: dict[str, list] = {}
    for episode in chains:
        by_chain.setdefault(episode.goal.chain, []).append(episode)
        lengths = nx.single_source_dijkstra_path_length(graphs[episode.scan], episode.path[0])
        best = min(lengths[viewpoint] for viewpoint in episode.goal.viewpoints)
        assert best == pytest.approx(nx.path_weight(graphs[episode.scan], episode.path, "weight"))
        assert episode.path[-1] in episode.goal.viewpoints
        assert EDGES[0] <= len(episode.path) - 1 <= EDGES[1]
        assert not episode.follows or by_id[episode.follows].path[-1] == episode.path[0]
    assert len(by_chain) > 200
    for parts in by_chain.values():
        assert [episode.goal.kind for episode in parts] == [*KINDS] * (SIZE // 2)
        assert len({(e.goal.kind, e.instruction) for e in parts}) == SIZE
        assert len({(e.scan, e.language) for e in parts}) == 1
    # The three languages have the same chains.
    assert {e.instr_id.replace("_en_", "_hi-IN_") for e in chains if e.language == "en"} == {
        e.instr_id for e in chains if e.language == "hi-IN"
    }


def test_rounds_keep_the_order_of_episodes_without_chains():
    episodes = load_episodes("r2r", "val_seen", HOUSES)
    assert chain_rounds(episodes) == [episodes]
    assert moved(episodes, {}, {episodes[0].instr_id: ("x", 0.0)}) == episodes
    check_no_chains(episodes, "--dataset r2r")


@pytest.fixture(scope="module")
def split():
    whole = load_split("goat", "val_seen", features="none")
    scan = whole.episodes[0].scan
    return replace(whole, episodes=[e for e in whole.episodes if e.scan == scan])


def environment(split, num_envs=64):
    settings = EnvSettings(observe="indices")
    return VlnVectorEnv(split, num_envs, settings, AutoresetMode.DISABLED)


def test_walks_start_where_the_walk_before_has_ended(split):
    env = environment(split)
    evaluation = evaluate(env, RandomAgent(env.nav_world, 1))
    paths = {name: [pose[0] for pose in walk] for name, walk in evaluation.trajectories.items()}
    assert list(paths) == [episode.instr_id for episode in split.episodes]
    chain: dict[str, list[dict[str, float]]] = {}
    for episode in split.episodes:
        own, graph = paths[episode.instr_id], env.nav_world.graphs[episode.scan]
        assert own[0] == (paths[episode.follows][-1] if episode.follows else episode.path[0])
        score = evaluation.scores[episode.instr_id]
        shortest = graph.geodesic_to(own[0], episode.goal.viewpoints)
        length = graph.path_length(own)
        success = float(own[-1] in episode.goal.viewpoints)
        efficiency = shortest / max(shortest, length) if length or shortest else 1.0
        assert score["success"] == success
        assert score["spl"] == pytest.approx(success * efficiency)
        assert score["nav_error"] == graph.geodesic_to(own[-1], episode.goal.viewpoints)
        chain.setdefault(episode.goal.chain, []).append(score)
    summary = evaluation.summary()
    assert 0 < summary["SR"] < 1
    for kind, rows in (("description", slice(0, None, 2)), ("object", slice(1, None, 2))):
        means = [np.mean([score["success"] for score in scores[rows]]) for scores in chain.values()]
        assert summary[f"SR_{kind}"] == pytest.approx(np.mean(means))
    assert summary["SR_chain"] == 0


def test_batches_do_not_change_the_walks(split):
    walks = [
        evaluate(env, ForwardAgent(env.nav_world)).trajectories
        for env in (environment(split, 64), environment(split, 5))
    ]
    assert walks[0] == walks[1]


def test_the_teacher_solves_every_chain(split):
    summary = evaluate(environment(split), TeacherAgent()).summary()
    for name in ("SR", "SPL", "nDTW", "SR_object", "SR_description", "SR_chain", "SPL_chain"):
        assert summary[name] == pytest.approx(1)


def chain_walks(episodes, graphs, stays):
    """Shortest paths to the goals; some agents stay where they are."""
    walks: dict[str, list[str]] = {}
    for episode in episodes:
        start = walks[episode.follows][-1] if episode.follows else episode.path[0]
        graph = graphs[episode.scan]
        goal = min(episode.goal.viewpoints, key=lambda one: graph.geodesic(start, one))
        stays_here = stays(episode)
        walks[episode.instr_id] = [start] if stays_here else graph.shortest_path(start, goal)
    return walks


@pytest.fixture(scope="module")
def truth():
    return load_ground_truth(ScoringRules(dataset="goat", splits=("val_seen",), resamples=50))


def submitted(folder, truth, walks):
    rules = ScoringRules(dataset="goat", splits=("val_seen",), resamples=50)
    path = folder / "walks.json"
    records = [
        {"instr_id": name, "trajectory": [[viewpoint, 0.0, 0.0] for viewpoint in walk]}
        for name, walk in walks.items()
    ]
    path.write_text(json.dumps(records))
    return score_submission(path, rules, truth)


def test_submissions_start_where_the_walk_before_has_ended(truth, tmp_path):
    lost = {episode.goal.chain for episode in truth.episodes[:1]}

    def stays(episode):
        return episode.goal.chain in lost and episode.instr_id.endswith("_2")

    walks = chain_walks(truth.episodes, truth.graphs, stays)
    scored = submitted(tmp_path, truth, walks)
    assert scored.checked.findings == []
    count, chains = len(truth.episodes), len(truth.episodes) // SIZE
    assert scored.summary["SR"] == pytest.approx(1 - 1 / count)
    assert scored.summary["SR_chain"] == pytest.approx(1 - 1 / chains)
    assert scored.summary["SPL"] == pytest.approx(1 - 1 / count)
    # A walk from the annotated start does not begin where the agent is.
    name = f"{next(iter(lost))}_3"
    annotated = next(episode for episode in truth.episodes if episode.instr_id == name)
    (finding, *_) = submitted(tmp_path, truth, {**walks, name: annotated.path}).checked.findings
    assert "do not begin at the start" in finding.kind
    assert any(case.startswith(f"{name}: ") for case in finding.cases)


def test_a_missing_walk_leaves_the_agent_in_place_and_fails_the_chain(truth, tmp_path):
    name = truth.episodes[0].instr_id
    walks = chain_walks(truth.episodes, truth.graphs, lambda episode: episode.instr_id == name)
    del walks[name]
    scored = submitted(tmp_path, truth, walks)
    assert [finding.kind for finding in scored.checked.findings] == ["instructions without a path"]
    row = scored.instructions.index(next(e.instr_id for e in truth.episodes if e.follows == name))
    assert scored.scores["success"][row] == 1
    assert scored.scores["chain_success"][row] == 0
    assert chain_ends(truth.episodes, walks)[name] == (truth.episodes[0].path[0], 0.0)


def test_written_submissions_are_scored_as_the_evaluation(split, truth, tmp_path):
    env = environment(load_split("goat", "val_seen", features="none"))
    evaluation = evaluate(env, RandomAgent(env.nav_world, 2))
    path = tmp_path / "walks.json"
    write_submission(path, evaluation.trajectories, env.episodes, env.files, "goat")
    rules = ScoringRules(dataset="goat", splits=("val_seen",), resamples=50)
    scored = score_submission(path, rules, truth)
    assert scored.checked.findings == []
    for name, value in evaluation.summary().items():
        assert scored.summary[name] == pytest.approx(value), name


@pytest.fixture
def chain_env():
    return ChainEnv(
        gym.make("GOAT-CLIP-v0", split="val_seen", features="none", max_episode_steps=16)
    )


def test_a_chain_is_an_episode_of_the_wrapped_environment(chain_env):
    _, info = chain_env.reset(seed=4)
    names, done = [info["instr_id"]], False
    assert names[0].endswith("_0")
    while not done:
        before = info["viewpoint"]
        observation, _, terminated, truncated, info = chain_env.step(info["teacher_action"])
        done = terminated or truncated
        if "goal_metrics" in info:
            assert info["goal_metrics"]["success"] == 1
            assert info["viewpoint"] == before
            assert chain_env.observation_space.contains(observation)
            names.append(info["instr_id"])
    assert info["metrics"]["success"] == 1
    assert names == [f"{names[0][:-1]}{number}" for number in range(SIZE)]


def test_goals_that_are_given_up_leave_the_agent_in_place(chain_env):
    _, info = chain_env.reset(seed=4)
    start = info["viewpoint"]
    _, _, terminated, _, info = chain_env.step(0)
    assert (terminated, info["goal_metrics"]["success"], info["viewpoint"]) == (False, 0, start)
    for _ in range(16):  # to the limit of steps of the second goal
        assert not info["instr_id"].endswith("_2")
        action = 1 if info["action_mask"][1] else 0
        _, _, terminated, truncated, info = chain_env.step(action)
        assert (terminated, truncated) == (False, False)
    assert info["instr_id"].endswith("_2")
    chosen = info["instr_id"]
    assert chain_env.reset(options={"episode_id": chosen})[1]["instr_id"] == chosen


def test_searches_refuse_chains(split):
    config = SearchConfig(method="beam")
    with pytest.raises(ValueError, match=r"--search\.method beam: its episodes start where others"):
        search_split(environment(split), cast(Any, None), config)


def test_language_models_refuse_chains(run_command, tmp_path):
    with pytest.raises(ValueError, match=r"--dataset goat: its episodes start where others"):
        run_command(
            *("evaluate-vlm", "--dataset", "goat", "--output", tmp_path / "run"),
            *("--split", "val_seen", "--model", "m", "--url", "http://127.0.0.1:9/v1"),
        )
