import numpy as np
import pytest

from clipnav.envs.graphs.candidates import candidate_table
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.graphs.nav_world import NavWorld
from tests.conftest import connectivity_records


@pytest.fixture(scope="module")
def world(tiny_world):
    return NavWorld.load(["attic", "barn"], tiny_world / "matterport" / "connectivity")


def nodes_of(world, scan):
    return {v: world.node(scan, v) for v in world.graphs[scan].viewpoint_ids}


def test_nodes_name_their_viewpoints(world):
    assert len(world) == 16
    for scan in world.graphs:
        for viewpoint, node in nodes_of(world, scan).items():
            assert world.viewpoint_ids[node] == viewpoint
            assert world.scan_names[node] == scan
    with pytest.raises(KeyError, match="cellar"):
        world.node("cellar", "a0")


def test_actions_lead_to_candidates_and_others_stay(world):
    assert world.num_actions == 6
    for scan, graph in world.graphs.items():
        table = candidate_table(graph)
        nodes = nodes_of(world, scan)
        for viewpoint, node in nodes.items():
            i = graph.index(viewpoint)
            count = len(graph.neighbours(viewpoint))
            targets = [nodes[graph.viewpoint_ids[j]] for j in table.targets[i, :count]]
            assert world.targets[node].tolist() == [node, *targets, *[node] * (5 - count)]
            assert world.mask[node].tolist() == [1] * (1 + count) + [0] * (5 - count)
            assert world.views[node, 1 : 1 + count].tolist() == table.views[i, :count].tolist()


def test_distances_and_teachers_agree_with_the_graphs(world):
    for scan, graph in world.graphs.items():
        nodes = nodes_of(world, scan)
        for start, node in nodes.items():
            for goal, goal_node in nodes.items():
                pair = np.array([node]), np.array([goal_node])
                assert world.distance(*pair)[0] == graph.geodesic(start, goal)
                action = world.teacher_action(*pair)[0]
                if start == goal or np.isinf(graph.geodesic(start, goal)):
                    assert action == 0
                else:
                    assert world.targets[node, action] == nodes[graph.next_hop(start, goal)]


def test_action_space_is_that_of_the_folder(tiny_world):
    directory = tiny_world / "matterport" / "connectivity"
    assert NavWorld.load(["barn"], directory).num_actions == 6
    barn = NavGraph.load("barn", directory)
    assert NavWorld([barn]).num_actions == 3
    with pytest.raises(ValueError, match="3 actions are needed, but num_actions is 2"):
        NavWorld([barn], num_actions=2)
    with pytest.raises(FileNotFoundError, match=r"cellar_connectivity\.json"):
        NavWorld.load(["cellar"], directory)


def test_real_world_walks_its_shortest_paths(shared):
    directory = shared / "data" / "matterport" / "connectivity"
    world = NavWorld.load(["17DRP5sb8fy", "2azQ1b91cZZ"], directory)
    assert world.num_actions == 14
    rng = np.random.default_rng(0)
    for scan, graph in world.graphs.items():
        nodes = np.array(list(nodes_of(world, scan).values()))
        start, goals = rng.choice(nodes, 200), rng.choice(nodes, 200)
        apart = np.isfinite(world.distance(start, goals))
        start, goals = start[apart], goals[apart]
        walked, place = np.zeros(len(start)), start
        for _ in range(len(graph)):
            target = world.targets[place, world.teacher_action(place, goals)]
            walked += world.distance(place, target)
            place = target
        assert (place == goals).all()
        np.testing.assert_allclose(walked, world.distance(start, goals), atol=1e-9)


def test_teachers_choose_among_more_than_255_candidates():
    places = {f"v{i}": (i % 17, i // 17) for i in range(280)}
    records = connectivity_records(places, [("v0", name) for name in places if name != "v0"])
    world = NavWorld([NavGraph("hall", records)])
    goals = np.array([world.node("hall", name) for name in places][1:])
    start = np.full(len(goals), world.node("hall", "v0"))
    assert world.num_actions == 280
    assert (world.targets[start, world.teacher_action(start, goals)] == goals).all()
