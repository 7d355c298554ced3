import dataclasses

import gymnasium as gym
import numpy as np
import pytest

import clipnav.envs  # noqa: F401  (registers the environments)
from clipnav.envs.drawing.canvas import AGENTS, ATTENTION, WAY, mixed
from clipnav.envs.drawing.fonts import MissingFontError, font_for
from clipnav.envs.drawing.frame import VIEW_SIZE
from clipnav.envs.episodes import load_episodes
from clipnav.envs.graphs.candidates import candidate_table
from clipnav.envs.graphs.goal import Goal
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.navigation.rendering import draw_frame
from clipnav.envs.worlds import world_files

WIDTH, HEIGHT = VIEW_SIZE


@pytest.fixture
def scene(tiny_world):
    files = world_files("matterport", tiny_world)
    episode = load_episodes("r2r", "train", files)[0]
    return NavGraph.load("attic", files.connectivity_dir), episode, files


class Compass:
    """Panoramas whose red and green encode sine and cosine of the column's heading."""

    def rgb(self, scan, viewpoint, width):
        heading = 2 * np.pi * (np.arange(width) + 0.5) / width - np.pi
        colours = np.stack([np.sin(heading), np.cos(heading), -np.ones(width)], axis=1)
        return np.tile((127.5 + 127.5 * colours).astype(np.uint8), (width // 2, 1, 1))


def drawn(scene, trajectory, pictures=None, **more):
    graph, episode, files = scene
    return draw_frame(graph, episode, trajectory, files, pictures or Compass(), **more)


@pytest.mark.parametrize("turns", [0, 3, 7])
def test_the_heading_is_in_the_middle_of_the_view_and_of_the_strip(scene, turns):
    heading = turns * np.pi / 6
    frame = drawn(scene, [("a0", heading, 0.0)], Compass())
    assert frame.shape == (720, 1280, 3)
    assert frame.dtype == np.uint8
    expected = 127.5 + 127.5 * np.array([np.sin(heading), np.cos(heading)])
    np.testing.assert_allclose(frame[60, WIDTH // 2, :2], expected, atol=3)
    np.testing.assert_allclose(frame[620, 860 + 206, :2], expected, atol=3)
    behind = 127.5 - 127.5 * np.array([np.sin(heading), np.cos(heading)])
    np.testing.assert_allclose(frame[620, 860, :2], behind, atol=3)


def test_candidates_are_marked_in_their_direction(scene):
    graph = scene[0]
    table = candidate_table(graph)
    for viewpoint in ("a0", "a4"):
        node = graph.index(viewpoint)
        for target, heading in zip(table.targets[node], table.headings[node], strict=True):
            if target < 0:
                continue
            # A ring in the agent's colour around a white disc, in the middle of the view.
            column = drawn(scene, [(viewpoint, float(heading), 0.0)])[:HEIGHT, WIDTH // 2]
            ring = np.flatnonzero((abs(column.astype(int) - AGENTS[0]) < 30).all(axis=1))
            assert ring.size >= 2
            assert (column[ring[0] : ring[-1]] > 250).all(axis=1).any()
            # None lies above the horizon, which is above the middle because the camera looks down.
            assert ring[0] > HEIGHT * 0.3


def test_map_and_instruction_show_the_progress(scene):
    path = [(name, 0.0, 0.0) for name in scene[1].path]
    blue, strong = [], []
    for count in (1, len(path)):
        frame = drawn(scene, path[:count])
        blue.append(int((frame[:600, 860:] == AGENTS[0]).all(axis=2).sum()))
        highlight = mixed((255, 255, 255), ATTENTION, 225 * 0.9 / 255)
        strong.append(int((abs(frame[510:, :WIDTH] - np.array(highlight)) < 4).all(axis=2).sum()))
    assert blue[1] > blue[0] + 200
    assert strong[1] > 300
    assert strong[0] == 0


def test_the_end_shows_the_outcome(scene):
    path = [(name, 0.0, 0.0) for name in scene[1].path]
    under_way, good, bad = (
        drawn(scene, walk, ended=end)[28, 16]
        for walk, end in ((path, False), (path, True), (path[:1], True))
    )
    assert under_way.max() < 60
    assert good[1] > 1.5 * good[0]
    assert bad[0] > 1.5 * bad[1]


def test_goals_of_viewpoints_have_their_own_circles_and_success(scene):
    graph, episode, files = scene
    near, end = episode.path[-2:]
    walk = [(name, 0.0, 0.0) for name in episode.path]
    pictures = {}
    for radius in (None, 0.0):
        goal = Goal((near,), radius)
        other = dataclasses.replace(episode, target=goal)
        assert graph.geodesic_to(end, goal.viewpoints) < 3.0, "less than the usual radius"
        pictures[radius] = drawn((graph, other, files), walk, ended=True)
    usual, own = (picture[28, 16].astype(int) for picture in pictures.values())
    assert usual[1] > 1.5 * usual[0]
    assert own[0] > 1.5 * own[1]
    # The circle of 3 m covers more of the map than that around a viewpoint alone.
    areas = [
        int(
            (abs(p[:600, 860:].astype(int) - mixed((255, 255, 255), WAY, 22 / 255)) < 3)
            .all(axis=2)
            .sum()
        )
        for p in pictures.values()
    ]
    assert areas[0] > 4 * areas[1] > 0


def test_environments_render_only_with_a_render_mode(tiny_arguments):
    env = gym.make("R2R-CLIP-v0", render_mode="rgb_array", **tiny_arguments)
    env.reset(seed=0)
    first = env.render()
    env.step(1)
    second = env.render()
    assert first.shape == second.shape == (720, 1280, 3)
    assert (first != second).any()
    several = gym.make_vec("R2R-CLIP-v0", 3, render_mode="rgb_array", **tiny_arguments)
    several.reset(seed=0)
    frames = several.render()
    assert len(frames) == 3
    np.testing.assert_array_equal(frames[0], first)
    silent = gym.make_vec("R2R-CLIP-v0", 3, **tiny_arguments)
    silent.reset(seed=0)
    assert silent.render() is None


def test_people_watch_in_a_window(tiny_arguments, monkeypatch):
    pytest.importorskip("pygame", reason="windows need the extra 'window'")
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    env = gym.make("R2R-CLIP-v0", render_mode="human", **tiny_arguments)
    env.reset(seed=0)
    assert env.render() is None
    assert env.get_wrapper_attr("screen_size") == (1280, 720)
    env.close()


def test_the_frame_reports_a_missing_font(scene, monkeypatch):
    hindi = dataclasses.replace(scene[1], instruction="दरवाज़े के पास रुकें।")
    texts = []

    def font(text, size, bold=False):
        texts.append(text)
        if any(letter > "\u0900" for letter in text) and "…" not in text:
            raise MissingFontError("no font on this machine has such letters; install one")
        return font_for(text, size, bold)

    monkeypatch.setattr("clipnav.envs.drawing.canvas.font_for", font)
    frame = drawn((scene[0], hindi, scene[2]), [("a0", 0.0, 0.0)])
    text = "The instruction cannot be drawn: no font on this machine has such letters; install one"
    explained = dataclasses.replace(scene[1], instruction=text)
    again = drawn((scene[0], explained, scene[2]), [("a0", 0.0, 0.0)])
    np.testing.assert_array_equal(frame, again)


def test_rendering_requires_a_reset(tiny_arguments):
    arguments = {**tiny_arguments, "render_mode": "rgb_array"}
    env = gym.make("R2R-CLIP-v0", **arguments)
    for unready in (env, env.unwrapped, gym.make_vec("R2R-CLIP-v0", 2, **arguments)):
        with pytest.raises(gym.error.ResetNeeded, match="reset"):
            unready.render()
