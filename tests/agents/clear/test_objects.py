import json

import numpy as np
import pytest

from clipnav.agents.clear.objects import (
    CLASSES,
    NUM_CLASSES,
    class_of,
    classes_of_view,
    common_classes,
    house_objects,
    objects_of_viewpoint,
    read_objects,
    write_objects,
)
from clipnav.connectivity import read_connectivity
from clipnav.envs.houses.building.sets import set_of
from clipnav.envs.houses.furniture import MAKERS
from clipnav.envs.houses.rendering import view_objects
from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
from clipnav.envs.houses.views.view_facts import UNMENTIONED
from clipnav.envs.panoramas.views import views36_nearest


def test_there_are_27_classes_and_every_category_has_one():
    assert NUM_CLASSES == 27
    named = [category for names in CLASSES.values() for category in names]
    assert len(named) == len(set(named))
    # "closed door", "stairs" and "railing" belong to the shell of a house, not to its furniture.
    shell = {"closed door", "entrance door", "stairs", "railing", "window", "candle"}
    assert set(named) - shell <= MAKERS.keys()
    names = list(CLASSES)
    assert names[class_of("armchair")] == "chair"
    assert names[class_of("guitar")] == "objects"
    assert {class_of(part) for part in UNMENTIONED} == {None}


def test_a_view_shows_the_classes_of_its_objects():
    ids = np.full((64, 64), -1)
    ids[:8], ids[8:16, :8], ids[20, 20] = 0, 1, 2
    shown = classes_of_view(ids, ["wall", "sofa", "bed"])
    names = list(CLASSES)
    # A single pixel of the bed is too small to count.
    assert [names[k] for k in np.flatnonzero(shown)] == ["sofa"]


def test_objects_of_a_house_agree_with_its_object_ids(monkeypatch):
    scan = "house_00"
    panoramas = HousePanoramas(width=384)
    monkeypatch.setattr(view_objects, "object_panoramas", lambda: panoramas)
    viewpoint = read_connectivity(scan, set_of(scan).connectivity_dir)[0]["image_id"]
    classes = house_objects([(scan, viewpoint)])
    shown = classes[scan][viewpoint]
    assert shown.shape == (36, 27)
    assert shown.any(1).sum() > 12
    categories = [thing.category for thing in panoramas.tracer(scan).scene.objects]
    ids = views36_nearest(panoramas.panorama(scan, viewpoint).object_id, 64)
    for view in range(36):
        values, counts = np.unique(ids[view], return_counts=True)
        large = {categories[v] for v, n in zip(values, counts, strict=True) if v >= 0 and n > 40}
        expected = {class_of(category) for category in large} - {None}
        assert expected <= set(np.flatnonzero(shown[view]).tolist())


def random_classes():
    rng = np.random.default_rng(0)
    return {"a": {"v": rng.random((36, 27)) < 0.3, "w": rng.random((36, 27)) < 0.3}}


def test_paired_panoramas_have_more_classes_in_common_than_others():
    views = np.zeros((4, 36, 27), bool)
    views[0, 3, :2] = views[1, 30, 1:3] = True  # classes 0 and 1, and classes 1 and 2
    views[2, 3, 5] = views[3, 4, 5] = True
    classes = {"a": dict(zip("pqrs", views, strict=True))}
    pairs = [(("a", "p"), ("a", "q")), (("a", "r"), ("a", "s"))]
    common, by_chance = common_classes(classes, pairs)
    assert common == pytest.approx((1 / 3 + 1) / 2)
    assert by_chance == 0.0


def test_classes_are_written_in_the_released_form_and_read_back(tmp_path):
    path = tmp_path / "objects_27.json"
    classes = random_classes()
    write_objects(path, classes)
    document = json.loads(path.read_text())
    assert set(document["a"]["v"]) == {str(view) for view in range(36)}
    assert document["a"]["v"]["7"] == classes["a"]["v"][7].astype(int).tolist()
    read = read_objects(path)
    assert read.keys() == {"a"}
    assert np.array_equal(read["a"]["w"], classes["a"]["w"])
    assert np.array_equal(objects_of_viewpoint(read, "a", "v", path), classes["a"]["v"])
    with pytest.raises(KeyError, match=r"objects_27\.json: no viewpoint x of scan a"):
        objects_of_viewpoint(read, "a", "x", path)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "name a file in the form"),
        ("{}", "contains no view"),
        ('{"a": {"v": {"0": [1, 2]}}}', "viewpoint v of scan a has 1 views, not the views 0 to 35"),
        ('{"a": {"v": {"0": [1], "1": [1, 0]}}}', r"views have different numbers of classes"),
        ('{"a": {"v": [1]}}', r"Expected `object`"),
    ],
)
def test_damaged_files_are_refused(tmp_path, document, message):
    path = tmp_path / "objects_27.json"
    path.write_text(document)
    with pytest.raises(ValueError, match=message) as refused:
        read_objects(path)
    assert str(refused.value).startswith(f"{path}: ")
    hint = "write it with clipnav pair-paths, name its folder with --pairs, or .* --no-object"
    with pytest.raises(FileNotFoundError, match=hint):
        read_objects(tmp_path / "missing.json")
