import numpy as np
import pytest

from envs.houses.meshes.scene import ObjectInfo
from vl_tasks.house_tasks.images import HouseImage, Thing, visible_things

OBJECTS = [
    ObjectInfo(k, name, colour, "", 0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    for k, (name, colour) in enumerate(
        [("wall", "grey"), ("tv stand", "black"), ("window", "white"), ("chair", "red")]
    )
]


def test_things_are_read_from_ids_and_depth():
    ids = np.zeros((40, 40), int)
    ids[:, :8] = 1
    ids[:, 30:] = 2
    ids[20, 20] = 3  # too small to be seen
    ids[:10, 15:20] = -1
    distance = np.where(ids == 1, 2.0, 5.0)
    distance[ids < 0] = np.inf
    window, television = visible_things(ids, distance, OBJECTS)
    assert (window.name, window.colour, window.area) == ("window", "", 0.25)
    assert (television.name, television.colour) == ("television", "black")
    assert television.distance == pytest.approx(2.0)
    assert television.across == pytest.approx(-1 + 7 / 39)


def test_singles_are_clearly_visible_and_unique_by_name():
    chair, far, lamp = (
        Thing("chair", "red", 0.05, 0.0, 1.0),
        Thing("chair", "red", 0.002, 0.0, 5.0),
        Thing("floor lamp", "blue", 0.02, 0.5, 3.0),
    )
    image = HouseImage(1, "1.jpg", "house_00", (chair, lamp, far), "", frozenset())
    assert image.singles == [lamp]
    assert image.single("chair") is None
    assert image.single("sofa") is None
