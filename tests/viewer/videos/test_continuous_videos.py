"""Videos of continuous walks."""

import msgspec
import numpy as np
import pytest

from clipnav.viewer.site.continuous_walks import FreePictures
from clipnav.viewer.trace.format import position_of
from clipnav.viewer.videos import VideoSettings, write_video
from clipnav.viewer.videos.side_panels import listed_motions
from clipnav.viewer.videos.timeline import VideoWalk, phases


@pytest.fixture
def library(continuous_library):
    return continuous_library


def test_the_camera_follows_positions_and_headings(library, expert_trace):
    walk = VideoWalk(expert_trace, library.graph(expert_trace.scan))
    expected = [position_of(step.viewpoint) for step in expert_trace.steps]
    np.testing.assert_allclose(walk.positions, expected)
    parts = list(phases([walk]))
    for part in parts:
        if part.step and part.kind in ("go", "turn"):
            assert (walk.length(part.step) > 0) == (part.kind == "go")
            state = walk.state(part, 1.0)
            turn = state.pose.heading - expert_trace.steps[part.step + 1].heading
            assert np.cos(turn) == pytest.approx(1, abs=1e-6)
    assert sum(part.seconds for part in parts) < 0.3 * len(expert_trace.steps) + 8


def test_a_walk_becomes_a_video(library, expert_trace, pictures, grey, tmp_path):
    pictures = FreePictures(pictures, lambda scan, position, width: grey(scan, "a0", 1024).rgb)
    path = tmp_path / "walk.gif"
    short = msgspec.structs.replace(expert_trace, steps=expert_trace.steps[:8], ending="cut off")
    write_video(path, [short], library, pictures, VideoSettings((640, 360)))
    assert path.stat().st_size > 10_000


def test_a_tilt_of_the_camera_is_listed_when_it_is_taken():
    moves = ["forward", "left", "right", "stop"]
    assert list(listed_motions("left")) == list(listed_motions(None)) == moves
    assert list(listed_motions("look up")) == [*moves, "look up"]
