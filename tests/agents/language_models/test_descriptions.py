"""Descriptions of views in words, from the object ids of a house."""

from types import SimpleNamespace

import numpy as np

from clipnav.agents.language_models.prompts import pictures
from clipnav.agents.language_models.prompts.pictures import HouseDescriptions
from clipnav.envs.houses.meshes.scene import ObjectInfo
from clipnav.envs.pictures.view_pictures import ViewPose


class FakeHouses:
    """House of one kitchen: a red stove ahead (north), a wall elsewhere."""

    def __init__(self):
        self.objects = [
            ObjectInfo(0, "wall", "white", "", 0, (0, 0, 0), (1, 1, 1)),
            ObjectInfo(1, "stove", "red", "", 0, (0, 0, 0), (1, 1, 1)),
        ]
        self.traced = 0

    def house(self, scan):
        rooms = [SimpleNamespace(kind="kitchen")]
        scene = SimpleNamespace(objects=self.objects)
        return SimpleNamespace(scene=scene, plan=SimpleNamespace(rooms=rooms))

    def position(self, scan, viewpoint):
        return np.zeros(3)

    def tracer(self, scan):
        return self

    def trace(self, position, rays, angle):
        self.traced += 1
        ahead = rays[:, 1] > 0.9
        distances = np.where(ahead, 2.0, 4.0).astype(np.float32)
        return SimpleNamespace(object_id=ahead.astype(np.int32), distance=distances)


def test_rooms_and_objects_are_named_with_colours_and_distances(monkeypatch):
    monkeypatch.setattr(pictures, "HousePanoramas", FakeHouses)
    describe = HouseDescriptions()
    assert describe(ViewPose("s", "v", 0.0)) == "a kitchen: a red stove at 2.0 m"
    assert describe(ViewPose("s", "v", np.pi)) == "bare walls"
    describe(ViewPose("s", "v", 0.0))
    assert describe._houses.traced == 2
