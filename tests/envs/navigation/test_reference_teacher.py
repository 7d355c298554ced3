import itertools

import numpy as np
import pytest

from envs.episodes import Episode
from envs.graphs.nav_world import NavWorld
from envs.navigation.reference_teacher import ReferenceTeacher
from envs.navigation.references import ReferencePaths


@pytest.fixture(scope="module")
def attic(tiny_world):
    """A lattice of 3 x 3: a0 a1 a2, above them a3 a4 a5, above them a6 a7 a8; a0 touches a4."""
    return NavWorld.load(["attic"], tiny_world / "matterport" / "connectivity")


def references_of(world, *paths):
    """Paths of digits: [0, 1] goes from a0 to a1."""
    episodes = [
        Episode(str(i), i, "attic", tuple(f"a{v}" for v in path), 0.0, "Go.", "en")
        for i, path in enumerate(paths)
    ]
    return ReferencePaths.of(world, episodes)


def taught(world, path, walked):
    """Where the teacher sends an agent at each viewpoint of a walk; "stop" where it stops."""
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
        # On the path to its end, though a0 - a4 - a5 would be shorter.
        ([0, 1, 2, 5], [0, 1, 2, 5], "1 2 5 stop"),
        # Off it at a4: to a1, the nearest viewpoint ahead. Who reaches the end has passed all.
        ([0, 1, 2, 5], [0, 4, 5], "1 1 stop"),
        # Back on a viewpoint that was passed: to the one after the last passed.
        ([0, 1, 2, 5, 8], [0, 1, 0, 1, 2], "1 2 1 2 5"),
        # A shortcut passes what it leaves out.
        ([0, 3, 4, 5], [0, 4, 5], "3 5 stop"),
        # Past the goal: back to it.
        ([0, 1, 2], [0, 1, 2, 5, 8, 5, 2], "1 2 stop 2 5 2 stop"),
        # A path that crosses itself is walked to its end.
        ([1, 4, 5, 4, 7], [1, 4, 5, 4, 7], "4 5 4 7 stop"),
        # Through the goal and back to it.
        ([3, 4, 5, 8, 7, 4], [3, 4, 5, 8, 7, 4], "4 5 8 7 4 stop"),
        # Named twice in a row.
        ([0, 0, 1, 1, 2, 2], [0, 1, 2], "1 2 stop"),
        # Two viewpoints that are no neighbours: the shortest way between them.
        ([0, 8], [0, 4, 5, 8], None),
        # Nothing but a start: stay, and come back.
        ([4], [4, 5], "stop 4"),
    ],
)
def test_leads_along_the_path_and_back_to_it(attic, path, walked, sent):
    if sent is None:
        graph = attic.graphs["attic"]
        hops = [graph.next_hop(f"a{v}", f"a{path[-1]}")[1:] for v in walked[:-1]]
        sent = " ".join([*hops, "stop"])
    assert taught(attic, path, walked) == sent


def test_off_the_path_the_nearest_viewpoint_ahead_is_chosen(attic):
    graph = attic.graphs["attic"]
    path = [0, 1, 2, 5, 8, 7, 6]
    for stray in (3, 4):
        ahead = min(path[1:], key=lambda v: graph.geodesic(f"a{stray}", f"a{v}"))
        hop = graph.next_hop(f"a{stray}", f"a{ahead}")
        assert taught(attic, path, [0, stray]).split()[1] == hop[1:]


def test_padding_is_no_viewpoint_of_the_path(attic):
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


def test_the_environment_follows_it_and_starts_anew(make_env):
    env = make_env(3, teacher="reference", dataset="rxr", shuffle=False)
    _, info = env.reset(seed=0)
    for _ in range(30):
        np.testing.assert_array_equal(info["teacher_action"], env.teacher_actions())
        _, _, terminated, truncated, info = env.step(info["teacher_action"])
        assert not truncated.any()
        for i in np.flatnonzero(terminated):
            episode = env.current_episodes()[i]
            graph = env.nav_world.graphs[episode.scan]
            # Some viewpoints that follow each other in this world's paths are no neighbours.
            ways = [graph.shortest_path(*pair) for pair in itertools.pairwise(episode.path)]
            assert env.paths()[i] == [episode.path[0], *(v for way in ways for v in way[1:])]


def test_it_keeps_secret_goals_and_unknown_teachers_out(make_env):
    env = make_env(2, teacher="reference", split="test")
    _, info = env.reset(seed=0)
    assert not info["teacher_action"].any()
    with pytest.raises(ValueError, match="teacher 'oracle' is not one of shortest, reference"):
        make_env(teacher="oracle")
