import numpy as np
import pytest

from vl_tasks.house_tasks.views import Thing, View

NAMES = ("sofa", "chair", "floor lamp", "armchair", "rug", "bed")
COLOURS = ("red", "green", "blue", "white", "brown")
ROOMS = ("bedroom", "kitchen", "living room", "office")


def _views(count, seed=0):
    rng = np.random.default_rng(seed)
    views = []
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
                )
                for name in names
            ),
            key=lambda thing: -thing.area,
        )
        room = str(rng.choice(ROOMS))
        told = rng.random() < 0.7
        views.append(
            View(
                number,
                f"COCO_train_{number:012d}.jpg",
                "house_00",
                tuple(things),
                room if told else "",
                frozenset({room}),
            )
        )
    return views


@pytest.fixture(scope="session")
def views():
    """300 pictures with things drawn at random."""
    return _views(300)
