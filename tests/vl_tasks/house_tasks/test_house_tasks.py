"""All files of the built-in tasks, made of two hand-made houses and read by the tasks' readers."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from envs.houses import training_panoramas
from envs.houses.floor_plan import FloorPlan, Room
from envs.houses.geometry import Material, box
from envs.houses.scene import scene_of_fixtures
from envs.houses.sets import MINI
from envs.houses.structure import Fixture
from envs.panoramas.house_panoramas import HousePanoramas
from vl_tasks.captioning.data import caption_images, read_captions
from vl_tasks.entailment.data import hypothesis_images, read_hypotheses
from vl_tasks.house_tasks import (
    SPLITS,
    HouseTasksConfig,
    cached_house_tasks,
    make_house_tasks,
    plan_shoots,
)
from vl_tasks.images import read_image
from vl_tasks.vqa.data import question_images, read_questions

CONFIG = HouseTasksConfig(train=40, val_seen=20, val_unseen=20, size=48, houses=2)
TINTS = {"red": (0.8, 0.1, 0.1), "green": (0.1, 0.7, 0.2), "blue": (0.1, 0.2, 0.8)}
NAMES = ("sofa", "chair", "bed", "desk", "wardrobe", "armchair", "stool", "piano")


def _house(scan):
    """Two rooms of 5 x 4 m without a wall between, full of coloured boxes."""
    rng = np.random.default_rng(list(scan.encode()))
    fixtures = [_box("floor", 0, (0, 0), (10, 4, 0.1), "", -0.1)]
    for number in range(24):
        place = rng.uniform((0, 0), (9.5, 3.5))
        colour = str(rng.choice(list(TINTS)))
        room = int(place[0] > 5)
        name = NAMES[(number + 4 * room) % len(NAMES)]
        fixtures.append(_box(name, room, place, (0.4, 0.4, rng.uniform(0.8, 1.8)), colour))
    rooms = (Room(0, "bedroom", 0, 0, 5, 4), Room(1, "office", 5, 0, 10, 4))
    return SimpleNamespace(
        spec=MINI.specs[scan],
        plan=FloorPlan(10, 4, rooms, ()),
        scene=scene_of_fixtures(fixtures, {"plain": np.full((4, 4, 3), 200, np.uint8)}),
    )


def _box(name, room, place, size, colour, bottom=0.0):
    middle = (place[0] + size[0] / 2, place[1] + size[1] / 2, bottom + size[2] / 2)
    material = Material("plain", TINTS.get(colour, (1.0, 1.0, 1.0)))
    return Fixture(name, room, (box(size, material, middle),), colour)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    positions = np.random.default_rng(0).uniform((0, 0, 1.5), (10, 4, 1.5), (40, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HousePanoramas, "house", lambda self, scan: _house(scan))
        patch.setattr(training_panoramas, "standing_positions", lambda house, extra: (positions, 9))
        patch.setenv("CLIPNAV_CACHE", str(tmp_path_factory.mktemp("cache")))
        made = cached_house_tasks(CONFIG)
        again = make_house_tasks(tmp_path_factory.mktemp("tasks"), CONFIG)
        assert cached_house_tasks(CONFIG) == made  # without drawing anything
    return made, again


def test_order_of_sets_does_not_matter():
    """Strings hash otherwise in each process, and sets of them come in another order."""
    program = (
        "import numpy as np\n"
        "from vl_tasks.house_tasks.hypotheses import state_hypotheses\n"
        "from vl_tasks.house_tasks.questions import ask_questions\n"
        "from vl_tasks.house_tasks.views import Thing, View\n"
        "rng = np.random.default_rng(0)\n"
        "names, colours = ['sofa', 'chair', 'bed', 'rug'], ['red', 'blue', 'green', 'white']\n"
        "things = [tuple(Thing(n, str(rng.choice(colours)), 0.1, rng.uniform(-1, 1),\n"
        "    rng.uniform(1, 6)) for n in names if rng.random() < 0.5) for _ in range(60)]\n"
        "views = [View(k, '', '', t, 'office' if k % 2 else '', frozenset({'office', 'gym'}))\n"
        "    for k, t in enumerate(things)]\n"
        "print([w for _, w in ask_questions(views, 99, np.random.default_rng(1))[0]])\n"
        "print([w for _, w in state_hypotheses(views, 99, np.random.default_rng(1))[0]])\n"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    (text,) = printed
    assert text.count("?") > 50


def _content(files):
    paths = sorted(path for path in files.folder.rglob("*") if path.is_file())
    return {str(path.relative_to(files.folder)): path.read_bytes() for path in paths}


def test_equal_configurations_give_equal_files(files):
    first, second = map(_content, files)
    assert first == second
    assert sum(name.endswith(".jpg") for name in first) == 80


@pytest.mark.parametrize("split", SPLITS)
def test_questions_and_hypotheses_are_read_back(files, split):
    made = files[0]
    summary = json.loads(made.summary.read_text())["splits"][split]
    questions = read_questions(made.questions(split), made.annotations(split))
    assert len(questions) == summary["questions"] > 0
    assert all(question.answers == (question.majority_answer,) * 10 for question in questions)
    assert {question.answer_type for question in questions} <= {"yes/no", "number", "other"}
    pictures = question_images(questions, made.images(split))
    picture = next(iter(pictures.values()))
    assert picture.name.startswith(f"COCO_{split}_0000")
    assert read_image(picture).size == (48, 48)
    hypotheses = read_hypotheses(made.hypotheses(split))
    assert len(hypotheses) == summary["hypotheses"] > 0
    assert summary["chance_of_labels"]["all"] == pytest.approx(1 / 3)
    assert hypothesis_images(hypotheses, made.images(split))
    assert all(hypothesis.premise.endswith(".") for hypothesis in hypotheses)


def test_captions_are_read_back(files):
    made = files[0]
    for split, count in (("train", 40), ("val", 20), ("test", 20)):
        images = read_captions(made.captions, split)
        assert len(images) == count
        assert all(len(image.captions) == 5 for image in images)
        assert "," not in {word for image in images for c in image.captions for word in c}
        assert len(caption_images(images, [made.all_images])) == count


def test_houses_of_val_unseen_are_in_no_other_split(files):
    splits = json.loads(files[0].summary.read_text())["splits"]
    assert splits["train"]["scans"] == splits["val_seen"]["scans"] == ["house_00"]
    assert splits["val_unseen"]["scans"] == ["house_32"]


def test_shoots_share_pictures_among_houses():
    shoots = plan_shoots("train", HouseTasksConfig(train=100, houses=40))
    assert len(shoots) == 32
    assert {shoot.count for shoot in shoots} == {3, 4}
    taken = [n for shoot in shoots for n in range(shoot.first_id, shoot.first_id + shoot.count)]
    assert taken == list(range(1, 101))
    with pytest.raises(ValueError, match="val_seen: at least one picture"):
        plan_shoots("val_seen", HouseTasksConfig(val_seen=0))
    with pytest.raises(ValueError, match="between 2 and 40 houses"):
        plan_shoots("train", HouseTasksConfig(houses=1))
