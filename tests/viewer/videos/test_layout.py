import numpy as np
import pytest

from clipnav.viewer.videos.layout import arranged, parse_size


@pytest.mark.parametrize(
    ("size", "agents"),
    [
        ((1280, 720), 1),
        ((1280, 720), 2),
        ((1920, 1080), 1),
        ((640, 360), 1),
        ((640, 480), 2),
        ((1080, 1080), 1),
        ((720, 1280), 1),
    ],
)
def test_panels_fill_the_frame_and_do_not_overlap(size, agents):
    layout = arranged(size, agents)
    assert len(layout.panels) == agents
    covered = np.zeros((size[1], size[0]), int)
    for left, top, right, bottom in [
        layout.map,
        *(box for panels in layout.panels for box in panels.values()),
    ]:
        assert 0 <= left < right <= size[0]
        assert 0 <= top < bottom <= size[1]
        assert min(right - left, bottom - top) >= 25
        covered[top:bottom, left:right] += 1
    assert covered.max() == 1
    assert covered.mean() > 0.93


@pytest.mark.parametrize("size", [(3840, 360), (2560, 640)])
def test_frames_without_room_for_the_map_are_refused(size):
    with pytest.raises(ValueError, match=f"{size[0]}x{size[1]}: the frame is too flat"):
        arranged(size, 1)


@pytest.mark.parametrize("size", [(1281, 720), (200, 720), (8000, 720)])
def test_sizes_that_do_not_do_are_refused(size):
    with pytest.raises(ValueError, match="even number of 360 to 3840"):
        arranged(size, 1)


def test_two_agents_need_a_wide_frame():
    with pytest.raises(ValueError, match="need a wide frame"):
        arranged((720, 1280), 2)


def test_sizes_are_read_from_text():
    assert parse_size("1280x720") == (1280, 720)
    for text in ("1280", "1280*720", "x", "-3x4", ""):
        with pytest.raises(ValueError, match="write width and height: 1280x720"):
            parse_size(text)
