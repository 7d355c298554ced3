import dataclasses

import gymnasium as gym
import numpy as np
import pytest
from PIL import Image, ImageDraw, features

import clipnav.envs  # noqa: F401  (registers the environments)
from clipnav.envs.episodes import load_episodes
from clipnav.envs.graphs.candidates import candidate_table
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.navigation.rendering import fonts
from clipnav.envs.navigation.rendering.fonts import MissingFontError, font_for
from clipnav.envs.navigation.rendering.frames import (
    PAPER,
    STRIP_HEIGHT,
    draw_frame,
    write_instruction,
)
from clipnav.envs.worlds import world_files


@pytest.fixture
def scene(tiny_world):
    files = world_files("matterport", tiny_world)
    episode = load_episodes("r2r", "train", files)[0]
    return NavGraph.load("attic", files.connectivity_dir), episode


def compass(scan, viewpoint):
    """Panorama whose red and green encode sine and cosine of the column's heading."""
    heading = 2 * np.pi * (np.arange(512) + 0.5) / 512 - np.pi
    colours = np.stack([np.sin(heading), np.cos(heading), -np.ones(512)], axis=1)
    return np.tile((127.5 + 127.5 * colours).astype(np.uint8), (256, 1, 1))


@pytest.mark.parametrize("turns", [0, 3, 7])
def test_the_heading_is_in_the_middle_of_the_panorama(scene, turns):
    graph, episode = scene
    heading = turns * np.pi / 6
    frame = draw_frame(graph, episode, [("a0", heading, 0.0)], compass)
    assert frame.shape == (640, 960, 3)
    assert frame.dtype == np.uint8
    for column, direction in (
        (480, heading),
        (720, heading + np.pi / 2),
        (240, heading - np.pi / 2),
    ):
        expected = 127.5 + 127.5 * np.array([np.sin(direction), np.cos(direction)])
        np.testing.assert_allclose(frame[5, column, :2], expected, atol=3)


def test_candidates_are_marked_at_their_direction(scene):
    graph, episode = scene
    table = candidate_table(graph)
    blank = draw_frame(graph, episode, [("a10", 0.0, 0.0)], compass)[:STRIP_HEIGHT]
    for viewpoint in ("a0", "a4"):
        heading = np.pi / 3
        frame = draw_frame(graph, episode, [(viewpoint, heading, 0.0)], compass)[:STRIP_HEIGHT]
        shift = round(heading / (2 * np.pi) * 960)
        changed = (frame != np.roll(blank, -shift, axis=1)).any(axis=2)
        blue = changed & (frame[..., 2] > 150)
        for target, h in zip(
            *(t[graph.index(viewpoint)] for t in (table.targets, table.headings)), strict=True
        ):
            if target < 0:
                continue
            offset = graph.positions[target] - graph.positions[graph.index(viewpoint)]
            down = np.arctan2(1.5 - offset[2], np.hypot(*offset[:2]))
            column = int((h - heading + np.pi) % (2 * np.pi) / (2 * np.pi) * 960)
            row = int(np.clip(180 + down / (2 * np.pi) * 960, 16, 344))
            assert blue[row, max(column - 9, 0) : column + 9].any()
        assert not blue[: STRIP_HEIGHT // 2 - 20].any()


def test_map_shows_reference_path_and_trajectory(scene):
    graph, episode = scene
    start = draw_frame(graph, episode, [("a0", 0.0, 0.0)], None)[STRIP_HEIGHT:]
    later = draw_frame(graph, episode, [("a0", 0.0, 0.0), ("a3", 0.0, 0.0)], None)[STRIP_HEIGHT:]

    def count(panel, colour):
        return int((panel == colour).all(axis=2).sum())

    green, orange = (46, 139, 87), (226, 119, 30)
    assert count(start, green) > 200
    assert count(later, orange) > count(start, orange)


def test_environments_render_only_with_a_render_mode(tiny_arguments):
    env = gym.make("R2R-CLIP-v0", render_mode="rgb_array", **tiny_arguments)
    env.reset(seed=0)
    first = env.render()
    env.step(1)
    second = env.render()
    assert first.shape == second.shape == (640, 960, 3)
    assert (first != second).any()
    several = gym.make_vec("R2R-CLIP-v0", 3, render_mode="rgb_array", **tiny_arguments)
    several.reset(seed=0)
    frames = several.render()
    assert len(frames) == 3
    np.testing.assert_array_equal(frames[0], first)
    silent = gym.make_vec("R2R-CLIP-v0", 3, **tiny_arguments)
    silent.reset(seed=0)
    assert silent.render() is None


def test_the_frame_reports_a_missing_font(scene, monkeypatch):
    graph, episode = scene
    hindi = dataclasses.replace(episode, instruction="दरवाज़े के पास रुकें।")
    texts = []

    def font(text, size):
        texts.append(text)
        if not text.isascii():
            raise MissingFontError("no font on this machine has such letters; install one")
        return font_for(text, size)

    monkeypatch.setattr("clipnav.envs.navigation.rendering.frames.font_for", font)
    frame = draw_frame(graph, hindi, [("a0", 0.0, 0.0)], None)
    assert texts[-1].startswith("The instruction cannot be drawn: no font on this machine")
    explained = dataclasses.replace(episode, instruction=texts[-1])
    np.testing.assert_array_equal(frame, draw_frame(graph, explained, [("a0", 0.0, 0.0)], None))


def test_rendering_requires_a_reset(tiny_arguments):
    arguments = {**tiny_arguments, "render_mode": "rgb_array"}
    env = gym.make("R2R-CLIP-v0", **arguments)
    for unready in (env, env.unwrapped, gym.make_vec("R2R-CLIP-v0", 2, **arguments)):
        with pytest.raises(gym.error.ResetNeeded, match="reset"):
            unready.render()


@pytest.mark.parametrize("word", ["walk", "चलिए", "స్టాండు"])
@pytest.mark.parametrize("height", [96, 220])
def test_no_instruction_leaves_its_box(word, height):
    picture = Image.new("RGB", (400, 400), PAPER)
    try:
        font_for(word, 18)
    except MissingFontError:
        pytest.skip("no font for this script on this machine")
    write_instruction(ImageDraw.Draw(picture), " ".join([word] * 150), (10, 10), (380, height))
    rows = np.flatnonzero((np.array(picture) != PAPER).any(axis=(1, 2)))
    assert rows.size
    assert rows[-1] < 10 + height


HINDI, TELUGU = "दरवाज़े के पास रुकें।", "తలుపు దగ్గర ఆగండి."


@pytest.fixture(autouse=True)
def fresh():
    fonts._path.cache_clear()
    yield
    fonts._path.cache_clear()


def test_european_letters_require_no_system_font(monkeypatch):
    monkeypatch.setattr(fonts, "_system_fonts", lambda: ())
    assert font_for("Stop at the café, 3 m.", 18).getname() == ("DejaVu Sans", "Book")
    assert font_for("Stop", 18, bold=True).getname() == ("DejaVu Sans", "Bold")


@pytest.mark.parametrize(("text", "script"), [(HINDI, "DEVANAGARI"), (TELUGU, "TELUGU")])
def test_the_error_names_the_missing_script_and_the_remedy(text, script, monkeypatch):
    monkeypatch.setattr(fonts, "_system_fonts", lambda: ())
    with pytest.raises(MissingFontError, match=rf"no font .*{script} .*fonts-noto-core"):
        font_for(text, 18)


def test_scripts_that_require_shaping_are_refused_without_libfribidi(monkeypatch):
    monkeypatch.setattr(features, "check", lambda name: name != "raqm")
    with pytest.raises(MissingFontError, match="libfribidi0"):
        font_for(HINDI, 18)
    assert font_for("Stop.", 18)


@pytest.mark.parametrize(
    ("text", "joined"),
    # A conjunct is narrower than its letters one by one.
    [(HINDI, "क्ष"), (TELUGU, "క్ష")],
)
def test_indian_scripts_are_drawn_and_shaped(text, joined):
    try:
        font = font_for(text + joined, 40)
    except MissingFontError as error:
        pytest.skip(str(error))
    assert font.getmask(text).getbbox()
    assert font.getlength(joined) < 0.9 * sum(font.getlength(letter) for letter in joined)


def test_damaged_fonts_are_ignored(monkeypatch, tmp_path):
    damaged = tmp_path / "damaged.ttf"
    damaged.write_bytes(b"no font")
    monkeypatch.setattr(fonts, "_system_fonts", lambda: (damaged,))
    with pytest.raises(MissingFontError):
        font_for(HINDI, 18)
