import torch

from clipnav.vl_tasks.grids.grids import GridScale


def test_scale_is_fitted_to_unmasked_cells(padded_grids):
    _, padded = padded_grids(filling=100.0)
    scale = GridScale(6)
    scale.fit(padded)
    scaled = scale(padded)
    cells = scaled.features[scaled.mask]
    torch.testing.assert_close(cells.mean(0), torch.zeros(6), atol=1e-5, rtol=0)
    torch.testing.assert_close(cells.std(0, correction=0), torch.ones(6))
