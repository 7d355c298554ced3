"""An encoder of your own: features of the 36 views of each viewpoint, as a feature store.

$ python scripts/examples/own_encoder.py
"""

import numpy as np

import clipnav


def encode(images: np.ndarray) -> np.ndarray:
    """Return the mean colours of 4 x 4 parts of each view; replace it by a network of yours."""
    count, height, width, _ = images.shape
    parts = images.reshape(count, 4, height // 4, 4, width // 4, 3)
    return (parts.mean((2, 4)) / 255).reshape(count, -1).astype(np.float32)


# One house, to try it; a training needs the features of all houses.
views = clipnav.WorldViews("houses", image_size=(64, 64), scans=("house_28",))
store = views.write_features("own_features.safetensors", encode, encoder="mean colours")
print(store)
first, *others = views.viewpoints[:8]
features = store.take(np.array([store.row(*place) for place in (first, *others)]))  # (8, 36, 48)
nearest = others[np.abs(features[1:] - features[0]).mean((1, 2)).argmin()]
print(f"of seven viewpoints, {nearest[1][:8]} looks most like {first[1][:8]}")
print('use them: clipnav.make("R2R-CLIP-v0", features="own_features.safetensors")')
