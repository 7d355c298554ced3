import torch

from encoders.towers.positions import Positions


def test_the_own_grid_has_the_table_itself():
    table = torch.randn(1 + 9, 4)
    assert Positions(table)(3, 3) is table
    wide = torch.randn(1 + 6, 4)
    assert Positions(wide, (2, 3))(2, 3) is wide


def test_a_linear_slope_stays_one():
    """Rows and columns of a plane lie on the same plane when the grid is finer."""
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    table = torch.cat([torch.full((1, 2), 7.0), torch.stack([rows, columns], -1).flatten(0, 1)])
    found = Positions(table)(16, 8)
    assert found[0].tolist() == [7, 7]
    places = found[1:].view(16, 8, 2)
    inner = (torch.arange(16.0) + 0.5) / 2 - 0.5
    torch.testing.assert_close(places[4:-4, 3, 0], inner[4:-4], rtol=0, atol=0.02)
    torch.testing.assert_close(places[5, :, 1], torch.arange(8.0), rtol=0, atol=1e-5)


def test_resized_positions_let_gradients_pass_by():
    """They may be made first under inference mode, and used in training later."""
    positions = Positions(torch.randn(1 + 4, 3).requires_grad_())
    with torch.inference_mode():
        positions(3, 3)
    weight = torch.ones(3, requires_grad=True)
    (positions(3, 3) * weight).sum().backward()
    assert weight.grad is not None
