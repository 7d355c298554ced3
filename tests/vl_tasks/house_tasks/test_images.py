import numpy as np
import pytest

from clipnav.envs.models.scene import ObjectInfo
from clipnav.vl_tasks.house_tasks.gqa_questions import QuestionScene
from clipnav.vl_tasks.house_tasks.hypotheses import is_neutral
from clipnav.vl_tasks.house_tasks.images import HouseImage, Thing, visible_things
from clipnav.vl_tasks.house_tasks.questions import COUNTED, count_questions, existence_questions

OBJECTS = [
    ObjectInfo(k, name, colour, "", 0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    for k, (name, colour) in enumerate(
        [
            ("wall", "grey"),
            ("tv stand", "beige"),
            ("window", "white"),
            ("chair", "red"),
            ("bed", "blue"),
        ]
    )
]


def test_things_are_read_from_ids_and_depth():
    ids = np.zeros((40, 40), int)
    ids[:, :8] = 1
    ids[:, 30:] = 2
    ids[20, 20] = 3  # too small to be seen
    ids[30:, :8] = 4
    ids[:10, 15:20] = -1
    distance = np.where(ids == 1, 2.0, 5.0)
    distance[ids < 0] = np.inf
    window, television, bed = visible_things(ids, distance, OBJECTS, ["bedroom"])
    assert (window.name, window.colour, window.area) == ("window", "", 0.25)
    # The recorded colour is that of the stand.
    assert (television.name, television.colour) == ("television", "")
    assert (bed.name, bed.colour, bed.room) == ("bed", "blue", "bedroom")
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


def test_a_name_can_mean_things_of_narrower_names():
    door, front = Thing("door", "red", 0.1, 0.0, 1.0), Thing("front door", "blue", 0.1, 0.5, 1.0)
    both = HouseImage(1, "1.jpg", "house_00", (door, front), "", frozenset())
    assert both.meant("door") == [door, front]
    assert both.single("door") is None
    assert both.single("front door") is front
    assert {one.subject for one in count_questions(both)} == {
        (name,) for name in COUNTED if name != "door"
    }
    chair = HouseImage(
        2, "2.jpg", "house_00", (Thing("armchair", "red", 0.1, 0.0, 1.0),), "", frozenset()
    )
    plain = HouseImage(
        3, "3.jpg", "house_00", (Thing("chair", "red", 0.1, 0.0, 1.0),), "", frozenset()
    )
    questions = list(existence_questions(chair, [plain], np.random.default_rng(0)))
    assert [(one.subject, one.answer) for one in questions] == [(("armchair",), "yes")]
    assert QuestionScene(chair).exists("chair") is None
    assert QuestionScene(plain).exists("armchair") == "no"
    assert not is_neutral(chair, "colour", "chair", "red")
