import itertools

import numpy as np
import pytest

from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.reference_teacher import ReferenceTeacher
from clipnav.envs.navigation.references import ReferencePaths


@pytest.fixture(scope="module")
def attic(tiny_world):
    """Lattice of 3 x 3 (rows a0 a1 a2, a3 a4 a5, a6 a7 a8) with an extra edge from a0 to a4."""
    return NavWorld.load(["attic"], tiny_world / "matterport" / "connectivity")


def references_of(world, *paths):
    """Build reference paths from digits: [0, 1] goes from a0 to a1."""
    episodes = [
        Episode(str(i), i, "attic", tuple(f"a{v}" for v in path), 0.0, "Go.", "en")
        for i, path in enumerate(paths)
    ]
    return ReferencePaths.of(world, episodes)


def taught(world, path, walked):
    """Return the teacher's target at each viewpoint of a walk; "stop" where it stops."""
    assert walked[0] == path[0]
    teacher = ReferenceTeacher(world, references_of(world, path), 1)
    agent = episode = np.array([0])
    teacher.start(agent, episode)
    sent = []
    for step, v in enumerate(walked):
        nodes = np.array([world.node("attic", f"a{v}")])
        if step:
            teacher.arrive(agent, episode, nodes)
        action = teacher.actions(episode, nodes)[0]
        target = world.targets[nodes[0], action]
        sent.append(world.viewpoint_ids[target][1:] if action else "stop")
    return " ".join(sent)


@pytest.mark.parametrize(
    ("path", "walked", "sent"),
    [
        # Along the path to its end, although a0 - a4 - a5 is shorter.
        ([0, 1, 2, 5], [0, 1, 2, 5], "1 2 5 stop"),
        # Off the path at a4: to a1, the nearest viewpoint ahead. Reaching the end passes all.
        ([0, 1, 2, 5], [0, 4, 5], "1 1 stop"),
        # Back on a passed viewpoint: to the one after the last passed viewpoint.
        ([0, 1, 2, 5, 8], [0, 1, 0, 1, 2], "1 2 1 2 5"),
        # A shortcut passes the viewpoints that it skips.
        ([0, 3, 4, 5], [0, 4, 5], "3 5 stop"),
        # Beyond the goal: back to it.
        ([0, 1, 2], [0, 1, 2, 5, 8, 5, 2], "1 2 stop 2 5 2 stop"),
        # A path that crosses itself is followed to its end.
        ([1, 4, 5, 4, 7], [1, 4, 5, 4, 7], "4 5 4 7 stop"),
        # Through the goal and back to it.
        ([3, 4, 5, 8, 7, 4], [3, 4, 5, 8, 7, 4], "4 5 8 7 4 stop"),
        # A viewpoint that is repeated.
        ([0, 0, 1, 1, 2, 2], [0, 1, 2], "1 2 stop"),
        # Two viewpoints that are not neighbours: the shortest path between them.
        ([0, 8], [0, 4, 5, 8], None),
        # A path of only a start: stay, or return to it.
        ([4], [4, 5], "stop 4"),
    ],
)
def test_teacher_follows_the_path_and_returns_to_it(attic, path, walked, sent):
    if sent is None:
        graph = attic.graphs["attic"]
        hops = [graph.next_hop(f"a{v}", f"a{path[-1]}")[1:] for v in walked[:-1]]
        sent = " ".join([*hops, "stop"])
    assert taught(attic, path, walked) == sent


def test_padding_is_not_part_of_the_path(attic):
    references = references_of(attic, [0, 1, 2], [0, 3, 6, 7, 8])
    teacher = ReferenceTeacher(attic, references, 2)
    agents = episodes = np.arange(2)
    teacher.start(agents, episodes)
    for step in range(5):
        here = references.nodes[:, step]
        if step:
            teacher.arrive(agents, episodes, here)
        actions = teacher.actions(episodes, here)
        assert (actions[0] == 0) == (step >= 2)
        assert (actions[1] == 0) == (step == 4)


def test_the_teacher_of_an_environment_restarts_with_each_episode(make_env):
    env = make_env(3, teacher="reference", dataset="rxr", shuffle=False)
    _, info = env.reset(seed=0)
    for _ in range(30):
        np.testing.assert_array_equal(info["teacher_action"], env.teacher_actions())
        _, _, terminated, truncated, info = env.step(info["teacher_action"])
        assert not truncated.any()
        for i in np.flatnonzero(terminated):
            episode = env.current_episodes()[i]
            graph = env.nav_world.graphs[episode.scan]
            # Some consecutive viewpoints of this world's paths are not neighbours.
            ways = [graph.shortest_path(*pair) for pair in itertools.pairwise(episode.path)]
            assert env.paths()[i] == [episode.path[0], *(v for way in ways for v in way[1:])]
