import pickle

import pytest


def facts(state):
    return (
        state.scanId,
        state.step,
        state.location,
        state.heading,
        state.elevation,
        state.viewIndex,
        state.navigableLocations,
        state.rgb,
    )


def facing_a_neighbour(sim):
    sim.newEpisode("attic", "a4", 0, 0)
    while len(sim.getState().navigableLocations) == 1:
        sim.makeAction(0, 1, 0)


def test_states_are_new_objects_and_do_not_change(old_simulator):
    sim = old_simulator()
    facing_a_neighbour(sim)
    state = sim.getState()
    before = facts(state)
    sim.makeAction(1, 1.0, 0.0)
    after = sim.getState()
    assert after is not state
    assert facts(state) == before
    assert after.step == state.step + 1
    assert after.location.viewpointId == state.navigableLocations[1].viewpointId
    assert facts(pickle.loads(pickle.dumps(after))) == facts(after)


def test_before_the_first_episode_there_is_a_state_and_actions_are_refused(old_simulator):
    sim = old_simulator()
    assert facts(sim.getState()) == ("", 0, None, 0.0, 0.0, 0, [], None)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"^MatterSim: Invalid action index: 0$"):
            sim.makeAction(0, 0, 0)
        sim.init()


@pytest.mark.parametrize(
    ("action", "error", "message"),
    [
        ((9, 1, 1), ValueError, "^MatterSim: Invalid action index: 9$"),
        ((-1, 1, 1), ValueError, "^MatterSim: Invalid action index: -1$"),
        ((1.0, 1, 1), TypeError, "float"),
        ((1, "1", 1), TypeError, "str"),
        (([1], 1, 1), TypeError, "list"),
    ],
)
def test_refused_actions_change_nothing(old_simulator, action, error, message):
    sim = old_simulator()
    facing_a_neighbour(sim)
    before = facts(sim.getState())
    with pytest.raises(error, match=message):
        sim.makeAction(*action)
    assert facts(sim.getState()) == before


@pytest.mark.parametrize(
    ("episode", "error", "message"),
    [
        (("nowhere", "a4", 0, 0), ValueError, "Could not open navigation graph file: .*/nowhere_"),
        (("attic", "a77", 0, 0), ValueError, "Could not find viewpointId: a77, is viewpoint id"),
        (("attic", "a9", 0, 0), ValueError, "a9, is excluded from the connectivity graph"),
        ((["attic"], ["a4"], [0], [0]), TypeError, "not a string"),
        (("attic", "a4", "0", 0), TypeError, "not a number"),
    ],
)
def test_refused_episodes_change_nothing(old_simulator, episode, error, message):
    sim = old_simulator()
    sim.newEpisode("barn", "b1", 1.0, 0.0)
    before = facts(sim.getState())
    with pytest.raises(error, match=message):
        sim.newEpisode(*episode)
    assert facts(sim.getState()) == before


def test_scans_need_not_be_listed(old_simulator, tiny_graphs, tmp_path):
    graph = "barn_connectivity.json"
    with open(f"{tiny_graphs}/{graph}", encoding="utf-8") as file:
        (tmp_path / graph).write_text(file.read())
    sim = old_simulator(graphs=str(tmp_path))
    sim.newEpisode("barn", "b1", 0, 0)
    assert sim.getState().location.viewpointId == "b1"


def test_an_empty_viewpoint_draws_a_random_one(old_simulator):
    sims = [old_simulator() for _ in range(2)]
    walks = [[], []]
    for _ in range(60):
        for sim, walk in zip(sims, walks, strict=True):
            sim.newEpisode("attic", "", 0.0, 0.0)
            walk.append(sim.getState().location.viewpointId)
    assert walks[0] == walks[1]
    assert set(walks[0]) == {f"a{i}" for i in range(11)} - {"a9"}
    sims[0].setSeed(1)  # the default seed
    sims[0].newEpisode("attic", "", 0.0, 0.0)
    assert sims[0].getState().location.viewpointId == walks[0][0]
