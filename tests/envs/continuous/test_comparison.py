import numpy as np
import pytest

from clipnav.envs.continuous.comparison import compare_simulators
from clipnav.envs.continuous.floor import ContinuousFloor


class Plain:
    """A room of 8 x 6 m with grey walls 2 m away from every camera."""

    def __init__(self, shade=100, depth=2.0, scale=1.0, sky=False, cut=False):
        self.shade, self.depth, self.scale, self.sky = shade, depth, scale, sky
        holes = [(3.9, -1.0, 4.1, 7.0)] if cut else []
        self.room = ContinuousFloor.of_boxes([(0.0, 0.0, 8.0, 6.0)], holes)

    def floor(self, scan):
        return self

    def distances(self, positions, goal):
        return self.scale * self.room.distances(positions, goal)

    def draw(self, scans, positions, headings, tilts, sensors):
        rgb = np.full((len(scans), 8, 8, 3), self.shade, np.uint8)
        depth = np.full((len(scans), 8, 8), self.depth, np.float32)
        if self.sky:
            depth[:, :2] = 0.0
        return {"rgb": rgb, "depth": depth}


POSITIONS = np.array([[1.0, 1.0, 0], [2.0, 5.0, 0], [3.0, 3.0, 0], [6.0, 2.0, 0], [7.0, 5.0, 0]])


def test_known_differences_are_measured():
    other = Plain(shade=110, depth=2.008, scale=1.02, sky=True)
    result = compare_simulators("room", Plain(), other, POSITIONS, 30)
    assert result.psnr == pytest.approx(20 * np.log10(255 / 10))
    assert result.depth_error == pytest.approx(0.008, rel=1e-3)
    assert result.depth_share == 1
    assert result.sky_share == 0.25
    assert result.distance_error == pytest.approx(0.02)
    assert result.largest_distance_error == pytest.approx(0.02)
    far = compare_simulators("room", Plain(), Plain(depth=2.02), POSITIONS, 30)
    assert far.depth_share == 0


def test_pairs_that_one_of_both_does_not_connect_are_counted():
    result = compare_simulators("room", Plain(), Plain(cut=True), POSITIONS, 40)
    assert 0 < result.unreachable < 40
    assert result.distance_error == 0
