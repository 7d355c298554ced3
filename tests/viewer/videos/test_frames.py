import msgspec
import numpy as np
import pytest

from clipnav.envs.drawing.canvas import AGENTS, ATTENTION, WAY, DrawingStyle
from clipnav.envs.pictures.panorama_files import NoPictures
from clipnav.viewer.videos.layout import arranged
from clipnav.viewer.videos.side_panels import ChoicesPanel, FiguresPanel
from clipnav.viewer.videos.timeline import Phase, VideoWalk
from clipnav.viewer.videos.view_panel import COLOURS
from clipnav.viewer.videos.words_panel import WordsPanel

LOOKED = 0.9  # share of a look after which all figures are shown


def cut(frame, box):
    left, top, right, bottom = box
    return frame[top:bottom, left:right]


def close_to(picture, colour, by=12):
    return (abs(picture.astype(int) - colour).max(-1) <= by).sum()


def looked(step):
    return Phase("look", step, 1.3), LOOKED


@pytest.mark.parametrize(
    ("size", "with_pictures"),
    [((1280, 720), True), ((1080, 1080), False), ((720, 1280), True)],
)
def test_no_third_of_a_frame_is_empty(frames_of, pictures, traces, size, with_pictures):
    source = pictures if with_pictures else NoPictures("none")
    frames = frames_of(traces[:1], size, source)
    for state in (looked(0), (Phase("go", 1, 1.0), 0.5), (Phase("card", 3, 3.0), 0.9)):
        frame = frames.draw(*state)
        assert frame.shape == (size[1], size[0], 3)
        assert frame.dtype == np.uint8
        for axis in (0, 1):
            for third in np.array_split(frame, 3, axis=axis):
                plain = np.median(third.reshape(-1, 3), axis=0)
                assert (abs(third - plain).max(-1) > 25).mean() > 0.04
                assert third.std() > 20


def test_a_long_name_leaves_room_for_the_step(frames_of, traces):
    # The box of the caption is dark; the margin to its right stays as light as the sky.
    for agent in ("short", "agent with a long name " * 5):
        walks = [msgspec.structs.replace(trace, agent=agent) for trace in traces[:1] * 2]
        frame = frames_of(walks, pictures=NoPictures("none")).draw(*looked(0))
        box, margin = frame[14:42, 20:636], frame[14:42, 624:636]
        assert (box.max(-1) < 90).any()
        assert margin.min() > 150


def test_words_are_highlighted_as_the_agent_attends_to_them(library, traces):
    trace = traces[0]
    walk = VideoWalk(trace, library.graph(trace.scan))
    panel = WordsPanel(walk, (850, 220), DrawingStyle(1.0))
    for step in range(len(trace.steps)):
        state = walk.state(*looked(step))
        picture = np.asarray(panel.draw(state))
        shades = [close_to(word_box(panel, picture, word), ATTENTION, 40) for word in panel.words]
        attended = step % 4  # what the teacher of these tests attends to
        assert int(np.argmax(shades)) == attended
        assert shades[attended] > 300
        assert sum(shades) - shades[attended] < 0.1 * shades[attended]


def word_box(panel, picture, word):
    top = int(panel._top + word.line * panel._text.leading)
    left = int(panel._margin + word.left)
    return picture[top : top + int(panel._text.leading), left : left + int(word.width)]


def test_long_instructions_roll_with_the_attention(library, traces):
    words = tuple(f"word{number} " for number in range(400))
    steps = []
    for place, step in enumerate(traces[0].steps):
        weights = np.zeros(402)
        weights[1 + 130 * place : 6 + 130 * place] = 0.2
        steps.append(msgspec.structs.replace(step, word_attention=tuple(weights)))
    trace = msgspec.structs.replace(
        traces[0], words=words, instruction="".join(words), steps=tuple(steps)
    )
    walk = VideoWalk(trace, library.graph(trace.scan))
    panel = WordsPanel(walk, (850, 220), DrawingStyle(1.0))
    amber = [close_to(np.asarray(panel.draw(walk.state(*looked(s)))), ATTENTION, 40) for s in
             range(len(steps))]  # fmt: skip
    assert min(amber) > 1000


def test_views_are_framed_where_the_attention_is(frames_of, traces):
    # The teacher of these tests attends to view 12 + step, which lies 30 degrees times step from
    # north.
    frames = frames_of(traces[:1])
    box = arranged((1280, 720), 1).panels[0]["around"]
    for step, one in enumerate(traces[0].steps):
        strip = cut(frames.draw(*looked(step)), box).astype(int)
        amber = (strip[..., 0] - strip[..., 2]) > 60
        centre = frames._walks[0].state(*looked(step)).pose.heading
        middle = (np.radians(30 * step) - centre + np.pi) % (2 * np.pi) / (2 * np.pi)
        columns = np.flatnonzero(amber.sum(0) > 10)
        offsets = (columns / strip.shape[1] - middle + 0.5) % 1 - 0.5
        assert abs(offsets.mean()) < 0.02, one.viewpoint
        assert abs(offsets).max() < 1 / 24 + 0.02


def test_the_map_shows_way_and_walk_of_each_agent(frames_of, traces):
    other = msgspec.structs.replace(traces[14], agent="other")
    frames = frames_of([traces[0], other])
    box = arranged((1280, 720), 2).map
    early, late = (cut(frames.draw(*looked(step)), box) for step in (0, 3))
    assert close_to(early, (128, 192, 174)) > 100  # the reference path, half as strong as WAY
    assert close_to(early, WAY) > 100
    for colour in AGENTS:
        assert close_to(late, colour) > close_to(early, colour) + 100


def test_choices_have_bars_as_long_as_their_probabilities(library, traces):
    walk = VideoWalk(traces[0], library.graph(traces[0].scan))
    panel = ChoicesPanel(walk, (420, 230), DrawingStyle(1.0))
    picture = np.asarray(panel.draw(walk.state(*looked(0))))
    rows = (picture == AGENTS[0]).all(-1)[:, 108:].sum(1)
    assert rows.max() == pytest.approx(0.9 * (420 - 108 - 66), abs=4)


def test_the_least_likely_choices_share_a_row(library, traces):
    walk = VideoWalk(traces[0], library.graph(traces[0].scan))
    panel = ChoicesPanel(walk, (420, 36 + 27 * 4 + 8), DrawingStyle(1.0))
    chances: list[float | None] = [0.1, 0.05, 0.5, 0.02, 0.3, 0.03]
    assert panel.shown(chances, 5) == ([2, 4, 5], [0, 1, 3])
    assert panel.shown(chances[:4], 0) == ([0, 1, 2, 3], [])


def test_figures_follow_the_walk(library, traces):
    trace = traces[0]
    walk = VideoWalk(trace, library.graph(trace.scan))
    panel = FiguresPanel(walk, (850, 66), DrawingStyle(1.0))
    start = dict(panel.figures(walk.state(*looked(0))))
    assert start["to the goal"] == f"{trace.steps[0].distance_to_goal:.1f} m"
    assert start["walked"] == "0.0 m"
    assert start["value"] == "0.50"
    end = dict(panel.figures(walk.state(*looked(walk.last))))
    assert end["walked"] == f"{trace.steps[-1].metrics['TL']:.1f} m"
    half = dict(panel.figures(walk.state(Phase("go", 0, 1.0), 0.5)))
    assert half["walked"] == f"{walk.length(0) / 2:.1f} m"


def test_walks_with_a_secret_goal_and_without_reasons_are_recorded_on_video(
    frames_of, secret_env, wanderer, traces
):
    from clipnav.viewer.trace import record

    (secret,) = record(secret_env, wanderer, ["300_0"], name="w")
    frames = frames_of([secret])
    frame = frames.draw(Phase("card", len(secret.steps) - 1, 3.0), 0.99)
    assert close_to(frame, COLOURS["unknown"]) > 1000
    boxes = arranged((1280, 720), 1)
    assert close_to(cut(frame, boxes.map), WAY, 3) == 0
