import dataclasses
import json

import numpy as np
import pytest

from clipnav.agents.acting.baselines import (
    ForwardAgent,
    RandomAgent,
    TeacherAgent,
    candidate_directions,
    named_object,
)
from clipnav.agents.acting.environments import make_env
from clipnav.agents.acting.evaluation import evaluate
from clipnav.agents.envdrop.settings import preset


class TurnedAgent(ForwardAgent):
    """Random agent with the same initial turns in every episode."""

    def __init__(self, world, turn):
        super().__init__(world)
        self.turn = turn

    def turns(self, instr_ids):
        return np.full(len(instr_ids), self.turn)


@pytest.fixture(scope="module")
def val_seen(shared):
    config = dataclasses.replace(
        preset("r2r", "matterport"), data_dir=shared / "data", vision=False, batch_size=128
    )
    return make_env(config, "val_seen")


def mean_over_paths(env, agent):
    """Return means with equal weights of all paths, as in the golden file."""
    scores = evaluate(env, agent).scores
    by_path = {instr_id.split("_")[0]: score for instr_id, score in scores.items()}
    names = ("trajectory_length", "nav_error", "oracle_success", "success", "spl")
    return {name: np.mean([score[name] for score in by_path.values()]) for name in names}


def test_forward_walks_from_twelve_headings_equal_the_golden_random_agent(shared, val_seen):
    golden = json.loads((shared / "golden" / "r2r_baseline_metrics.json").read_text())
    expected = golden["val_seen"]["Random_expected_over_12_offsets"]
    means = [mean_over_paths(val_seen, TurnedAgent(val_seen.nav_world, turn)) for turn in range(12)]
    ours = {name: np.mean([mean[name] for mean in means]) for name in means[0]}
    assert ours["trajectory_length"] == pytest.approx(expected["length"], abs=1e-6)
    assert ours["nav_error"] == pytest.approx(expected["nav_error"], abs=1e-6)
    assert ours["oracle_success"] == pytest.approx(expected["oracle success_rate"], abs=1e-9)
    assert ours["success"] == pytest.approx(expected["success_rate"], abs=1e-9)
    assert ours["spl"] == pytest.approx(expected["spl"], abs=1e-6)


def test_shortest_path_agent_equals_golden_file(shared, val_seen):
    golden = json.loads((shared / "golden" / "r2r_baseline_metrics.json").read_text())
    expected = golden["val_seen"]["Shortest"]
    ours = mean_over_paths(val_seen, TeacherAgent())
    assert ours["trajectory_length"] == pytest.approx(expected["length"], abs=1e-6)
    assert ours["success"] == 1.0
    assert ours["spl"] == pytest.approx(1.0)
    assert ours["nav_error"] == 0.0


def test_candidate_directions_are_those_of_the_graph(doors_env):
    ids = [episode.instr_id for episode in doors_env.episodes[: doors_env.num_envs]]
    observation, info = doors_env.reset(options={"episode_ids": ids})
    headings, _ = candidate_directions(doors_env.nav_world, observation, np.arange(len(ids)))
    for row, scan in enumerate(info["scan"]):
        graph = doors_env.nav_world.graphs[scan]
        here = graph.positions[graph.index(info["viewpoint"][row])]
        for action in range(1, 5):
            actions = np.zeros(len(ids), int)
            actions[row] = action
            doors_env.reset(options={"episode_ids": ids})
            _, _, _, _, after = doors_env.step(actions)
            east, north, _ = graph.positions[graph.index(after["viewpoint"][row])] - here
            difference = headings[row, action] - np.arctan2(east, north)
            assert np.cos(difference) == pytest.approx(1.0, abs=1e-6)
        if row == 2:
            break


def test_random_agent_depends_on_seed_and_instruction_only(doors_env):
    world = doors_env.nav_world
    ids = np.array([f"{path}_{k}" for path in range(40) for k in range(3)], dtype=object)
    turns = RandomAgent(world, 3).turns(ids)
    assert set(turns) == set(range(12))
    assert (RandomAgent(world, 3).turns(ids[::-1]) == turns[::-1]).all()
    assert (RandomAgent(world, 4).turns(ids) != turns).any()


def test_initial_turns_count_towards_the_limit(doors_env):
    def walks(turn, patience):
        agent = TurnedAgent(doors_env.nav_world, turn)
        agent.patience = patience
        return evaluate(doors_env, agent).trajectories

    # Facing a door: there, five turns and back, a door beyond, and six turns before the next move.
    ahead = [e.instr_id for e in doors_env.episodes if e.path_id % 3 == 0]
    for patience, moves in ((0, 0), (1, 1), (6, 1), (7, 2), (8, 3), (14, 3), (15, 4), (16, 5)):
        found = walks(0, patience)
        assert {len(found[instr_id]) - 1 for instr_id in ahead} == {moves}
        assert walks(12, 12 + patience) == found, "a full turn costs twelve actions"


def test_forward_agent_turns_right_until_it_can_move(doors_env):
    # From a leaf the only neighbour is the centre, behind the agent.
    evaluation = evaluate(doors_env, ForwardAgent(doors_env.nav_world))
    for trajectory in evaluation.trajectories.values():
        walked = [pose[0] for pose in trajectory]
        assert len(walked) == 6
        assert [name.endswith("c") for name in walked] == [True, False, True, False, True, False]
        assert walked[1] != walked[3], "after a half turn the agent goes out on the other side"


@pytest.mark.parametrize(
    ("text", "chosen"),
    [("Dust the coffee table.", 2), ("Wipe the table, please", 1), ("Two TABLES", -1), ("", -1)],
)
def test_the_longest_name_in_a_text_is_pointed_out(text, chosen):
    assert named_object(text, np.array(["lamp", "table", "coffee table", "table", ""])) == chosen
