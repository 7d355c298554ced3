import torch

from clipnav.encoders.towers.positions import Positions


def test_the_native_grid_has_the_table_itself():
    table = torch.randn(1 + 9, 4)
    assert Positions(table)(3, 3) is table
    wide = torch.randn(1 + 6, 4)
    assert Positions(wide, (2, 3))(2, 3) is wide


def test_a_linear_function_stays_linear():
    """Resizing positions that are linear in row and column gives the same linear function."""
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="ij")
    table = torch.cat([torch.full((1, 2), 7.0), torch.stack([rows, columns], -1).flatten(0, 1)])
    resized = Positions(table)(16, 8)
    assert resized[0].tolist() == [7, 7]
    cells = resized[1:].view(16, 8, 2)
    inner = (torch.arange(16.0) + 0.5) / 2 - 0.5
    torch.testing.assert_close(cells[4:-4, 3, 0], inner[4:-4], rtol=0, atol=0.02)
    torch.testing.assert_close(cells[5, :, 1], torch.arange(8.0), rtol=0, atol=1e-5)
