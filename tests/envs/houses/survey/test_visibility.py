from types import SimpleNamespace

import numpy as np
import pytest

from clipnav.envs.houses.survey.visibility import (
    HEADING_STEPS,
    seen_distances,
    survey_house,
    view_areas,
)
from clipnav.envs.panoramas.panorama import Panorama

HEIGHT = 180


def _directions() -> tuple[np.ndarray, np.ndarray]:
    """Return the heading and elevation in degrees of each pixel of a panorama."""
    columns, rows = np.arange(2 * HEIGHT), np.arange(HEIGHT)
    return np.meshgrid(columns + 0.5 - 180, 90 - (rows + 0.5))


def _square_view(heading: float) -> np.ndarray:
    """Return the pixels in a square 60-degree pinhole view at elevation 0."""
    h, e = (np.radians(angle) for angle in _directions())
    ahead = np.cos(e) * np.cos(h - np.radians(heading))
    right = np.cos(e) * np.sin(h - np.radians(heading))
    limit = np.tan(np.radians(30)) * ahead
    return (ahead > 0) & (np.abs(right) <= limit) & (np.abs(np.sin(e)) <= limit)


def _panorama(ids: np.ndarray) -> Panorama:
    return Panorama(np.zeros((*ids.shape, 3), np.uint8), np.full(ids.shape, 2.5, np.float32), ids)


@pytest.mark.parametrize("heading", [0, 90, -120])
def test_an_object_that_fills_a_view_has_area_one(heading):
    ids = np.where(_square_view(heading), 1, -1).astype(np.int32)
    assert view_areas(ids, 2).max(axis=0) == pytest.approx([0, 1], abs=0.03)


def test_only_objects_of_sufficient_size_have_distances():
    h, e = _directions()
    ids = np.full(h.shape, -1, np.int32)
    ids[(np.abs(h - 50) < 20) & (np.abs(e) < 20)] = 0
    ids[(np.abs(h) < 1) & (np.abs(e) < 1)] = 2
    panorama = _panorama(ids)
    panorama.depth[ids == 0] = 4.0
    panorama.depth[(ids == 0) & (h > 60)] = 9.0  # less than half of it
    assert seen_distances(panorama.object_id, panorama.depth, 4).tolist() == [
        4.0,
        np.inf,
        np.inf,
        np.inf,
    ]


@pytest.mark.parametrize("step", [0, 4, 6, 11])
def test_view_areas_peak_at_the_step_that_faces_the_object(step):
    h, e = _directions()
    aside = (h - 30 * step + 180) % 360 - 180
    ids = np.where((np.abs(aside) < 10) & (np.abs(e) < 20), 0, -1).astype(np.int32)
    areas = view_areas(ids, 1)[:, 0]
    assert areas.argmax() == step
    # At 30 degrees from the object, a view contains half of its 20 degrees; at 60 degrees, nothing.
    neighbours = areas[[(step - 1) % HEADING_STEPS, (step + 1) % HEADING_STEPS]]
    assert neighbours == pytest.approx(areas[step] / 2, rel=0.1)
    assert areas[(step + 3) % HEADING_STEPS] == 0


def test_a_survey_assigns_rooms_by_storey():
    tracer = SimpleNamespace(
        first_hits=lambda _, rays: (np.ones(len(rays)), -np.ones(len(rays), int))
    )
    rooms = (SimpleNamespace(kind="hallway"), SimpleNamespace(kind="landing"))
    plan = SimpleNamespace(rooms=rooms, room_at=lambda x, y, z: int(z > 3))
    house = SimpleNamespace(
        plan=plan, scene=SimpleNamespace(objects=()), spec=SimpleNamespace(scan="tall")
    )
    records = []
    for name, height in (("below", 1.5), ("above", 4.4)):
        pose = np.eye(4)
        pose[2, 3] = height
        records.append(
            {
                "image_id": name,
                "included": True,
                "pose": pose.ravel().tolist(),
                "unobstructed": [name == "above", name == "below"],
            }
        )
    survey = survey_house(house, tracer, records)  # type: ignore[arg-type]
    assert [survey.room_kind(0), survey.room_kind(1)] == ["hallway", "landing"]
    assert (survey.climb(0, 1), survey.climb(1, 0), survey.climb(0, 0)) == (1, -1, 0)
