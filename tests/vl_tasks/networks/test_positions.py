import math

import torch

from vl_tasks.grids.grids import Grids
from vl_tasks.networks.mcan import Mcan
from vl_tasks.networks.positions import GridPositions, waves
from vl_tasks.settings.configs import McanConfig


def grids(shape: tuple[int, int], real: tuple[int, int], channels: int = 2) -> Grids:
    mask = torch.zeros(1, *shape, dtype=torch.bool)
    mask[:, : real[0], : real[1]] = True
    return Grids(torch.randn(1, shape[0] * shape[1], channels), mask.flatten(1), shape)


def test_a_place_is_a_share_of_the_picture_whatever_the_padding():
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
    found = waves(torch.ones(1, 4, dtype=torch.bool))[0]
    expected = [
        [of(math.pi * (place + 0.5) / 4 * 2**k) for of in (math.sin, math.cos) for k in range(4)]
        for place in range(4)
    ]
    torch.testing.assert_close(found, torch.tensor(expected), atol=1e-5, rtol=0)


def test_mcan_tells_left_from_right_by_positions_alone():
    torch.manual_seed(0)
    seen = grids((1, 4), (1, 4))
    turned = seen._replace(features=seen.features.flip(1))
    tokens = torch.tensor([[1, 2]])
    for told in (False, True):
        config = McanConfig(16, 24, 1, 4, 8, 32, dropout=0.0, positions=told)
        network = Mcan(2, 5, 8, 3, config).eval()
        assert torch.allclose(network(seen, tokens), network(turned, tokens), atol=1e-5) != told
