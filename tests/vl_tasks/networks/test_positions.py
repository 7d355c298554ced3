import math

import torch

from clipnav.vl_tasks.grids.grids import Grids
from clipnav.vl_tasks.networks.attention import GridPositions, waves
from clipnav.vl_tasks.networks.mcan import Mcan
from clipnav.vl_tasks.settings.networks import McanConfig


def grids(shape: tuple[int, int], real: tuple[int, int], channels: int = 2) -> Grids:
    mask = torch.zeros(1, *shape, dtype=torch.bool)
    mask[:, : real[0], : real[1]] = True
    return Grids(torch.randn(1, shape[0] * shape[1], channels), mask.flatten(1), shape)


def test_positions_are_relative_to_the_image_and_independent_of_padding():
    torch.manual_seed(0)
    positions = GridPositions(8)
    small = positions(grids((2, 3), (2, 3)))[0]
    padded = positions(grids((4, 5), (2, 3)))[0].unflatten(0, (4, 5))[:2, :3].flatten(0, 1)
    assert torch.allclose(small, padded, atol=1e-6)
    apart = torch.cdist(small, small) + torch.eye(len(small))
    assert apart.min() > 1e-3
    # The middle of a row of three is that of a row of one.
    row, lone = torch.ones(1, 3, dtype=torch.bool), torch.ones(1, 1, dtype=torch.bool)
    assert torch.allclose(waves(row)[0, 1], waves(lone)[0, 0], atol=1e-6)


def test_waves_are_sines_and_cosines_of_doubled_frequencies():
    actual = waves(torch.ones(1, 4, dtype=torch.bool))[0]
    expected = [
        [wave(math.pi * (cell + 0.5) / 4 * 2**k) for wave in (math.sin, math.cos) for k in range(4)]
        for cell in range(4)
    ]
    torch.testing.assert_close(actual, torch.tensor(expected), atol=1e-5, rtol=0)


def test_mcan_distinguishes_left_and_right_only_with_positions():
    torch.manual_seed(0)
    original = grids((1, 4), (1, 4))
    flipped = original._replace(features=original.features.flip(1))
    tokens = torch.tensor([[1, 2]])
    for positions in (False, True):
        config = McanConfig(16, 24, 1, 4, 8, 32, dropout=0.0, positions=positions)
        network = Mcan(2, 5, 8, 3, config).eval()
        outputs = network(original, tokens), network(flipped, tokens)
        assert torch.allclose(*outputs, atol=1e-5) != positions
