import math

import numpy as np
import pytest

from clipnav.envs.mattersim import cbf


def images(height, width, holes, seed=0):
    rng = np.random.default_rng(seed)
    intensity = rng.integers(60, 200, (height, width)).astype(np.uint8)
    depth = rng.integers(1, 256, (height, width)).astype(np.uint8)
    mask = rng.random((height, width)) < holes
    depth[mask] = 0
    return depth, intensity, mask


def filled(depth, intensity, mask):
    result = np.zeros_like(depth)
    cbf(depth, intensity, mask, result)
    return result


def shrunk(image, scale):
    """Return {(y, x): value} of an image that is halved `scale` times.

    `cbf.cpp` computes the indices as (int)(((float)y / h) * H).
    """
    height, width = image.shape

    def source(index, count, source_count):
        if count == source_count:
            return index
        return int(np.float32(index) / np.float32(count) * np.float32(source_count))

    return {
        (y, x): image[source(y, height >> scale, height), source(x, width >> scale, width)]
        for y in range(height >> scale)
        for x in range(width >> scale)
    }


def weighted_mean(pixel, known, grey, space, grey_range):
    """Return the mean of the known pixels in the 11 x 11 window around a pixel, or None."""
    y, x = pixel
    total = value = 0.0
    for v in range(y - 5, y + 6):
        for u in range(x - 5, x + 6):
            if (v, u) in known:
                distance = ((v - y) ** 2 + (u - x) ** 2) / (2 * space**2)
                contrast = (grey[v, u] - grey[pixel]) ** 2 / (2 * grey_range**2)
                weight = math.exp(-distance) * math.exp(-contrast)
                total += weight
                value += weight * known[v, u]
    return value / total if total > 0 else None


def filled_pixel_by_pixel(depth, intensity, mask):
    """Apply the filter by its definition, with dictionaries of pixels."""
    handed_down = {}
    for scale, space, grey_range in ((2, 8.0, 0.02), (1, 5.0, 0.08), (0, 12.0, 0.2)):
        missing = shrunk(mask, scale)
        measured = {p: d / 255 for p, d in shrunk(depth, scale).items() if not missing[p]}
        grey = {p: g / 255 for p, g in shrunk(intensity, scale).items()}
        sizes = [(n >> scale + 1, n >> scale) for n in depth.shape]
        above = {
            (y, x): (y * sizes[0][0] // sizes[0][1], x * sizes[1][0] // sizes[1][1])
            for y, x in grey
        }
        known = {p: handed_down[above[p]] for p in grey if above[p] in handed_down} | measured
        means = {p: weighted_mean(p, known, grey, space, grey_range) for p in grey if missing[p]}
        handed_down = {p: mean for p, mean in means.items() if mean is not None} | measured
    result = depth.copy()
    for y, x in np.argwhere(mask).tolist():
        result[y, x] = int(handed_down.get((y, x), 0.0) * 255)
    return result


@pytest.mark.parametrize(
    ("height", "width", "holes"), [(16, 24, 0.3), (21, 13, 0.9), (4, 4, 0.5), (224, 8, 0.5)]
)
def test_filled_holes_equal_the_definition(height, width, holes):
    depth, intensity, mask = images(height, width, holes)
    expected = filled_pixel_by_pixel(depth, intensity, mask)
    # A tolerance of one grey level: fractions are truncated, and 32-bit floats are rounded.
    difference = filled(depth, intensity, mask).astype(int) - expected
    assert np.abs(difference).max() <= 1
    np.testing.assert_array_equal(filled(depth, intensity, mask)[~mask], depth[~mask])


def test_holes_without_known_depth_become_zero():
    nothing = np.zeros((12, 12), np.uint8)
    assert not filled(nothing, nothing + 9, nothing == 0).any()


def test_images_of_different_sizes_are_refused():
    depth, intensity, mask = images(8, 8, 0.5)
    with pytest.raises(ValueError, match="one size"):
        cbf(depth, intensity[:4], mask, np.zeros_like(depth))
