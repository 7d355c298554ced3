import numpy as np
import pytest

from clipnav.vl_tasks.house_tasks.images import HouseImage, Thing

NAMES = ("sofa", "chair", "floor lamp", "armchair", "rug", "bed")
COLOURS = ("red", "green", "blue", "white", "brown")
ROOMS = ("bedroom", "kitchen", "living room", "office")


def _images(count, seed=0):
    rng = np.random.default_rng(seed)
    images = []
    for number in range(1, count + 1):
        names = rng.choice(NAMES, int(rng.integers(0, 5)))
        things = sorted(
            (
                Thing(
                    str(name),
                    str(rng.choice(COLOURS)),
                    float(rng.choice([0.003, 0.02, 0.05, 0.1]) * rng.uniform(1, 2)),
                    float(rng.uniform(-1, 1)),
                    float(rng.uniform(1, 6)),
                    object_id,
                    (object_id, 0, 2, 3),
                )
                for object_id, name in enumerate(names)
            ),
            key=lambda thing: -thing.area,
        )
        room = str(rng.choice(ROOMS))
        is_clear = rng.random() < 0.7
        images.append(
            HouseImage(
                number,
                f"COCO_train_{number:012d}.jpg",
                "house_00",
                tuple(things),
                room if is_clear else "",
                frozenset({room}),
            )
        )
    return images


@pytest.fixture(scope="session")
def images():
    """300 images with random things."""
    return _images(300)
