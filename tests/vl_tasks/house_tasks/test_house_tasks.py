"""All files of the built-in tasks, generated from two small houses and read by the tasks."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from clipnav.envs.houses.building.sets import MINI
from clipnav.envs.houses.meshes.geometry import Material, box
from clipnav.envs.houses.plan.floor_plan import FloorPlan, Room
from clipnav.envs.houses.rendering import training_panoramas
from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
from clipnav.envs.houses.shell.assembly import scene_of_fixtures
from clipnav.envs.houses.shell.fixture import Fixture
from clipnav.vl_tasks.clip_vil_p.data.pair_files import open_pairs
from clipnav.vl_tasks.data.captions import read_captions
from clipnav.vl_tasks.data.images import find_named, read_image
from clipnav.vl_tasks.data.pairs import hypothesis_images, read_hypotheses
from clipnav.vl_tasks.data.questions import question_images, read_questions
from clipnav.vl_tasks.gqa.questions import read_gqa_choices, read_gqa_questions
from clipnav.vl_tasks.gqa.scores import SUMMARY, score_gqa
from clipnav.vl_tasks.house_tasks import (
    SPLITS,
    HouseTaskFiles,
    HouseTasksConfig,
    cached_house_tasks,
    generation,
    make_house_tasks,
)

CONFIG = HouseTasksConfig(train=40, val_seen=20, val_unseen=20, image_size=48, houses=2)
TINTS = {"red": (0.8, 0.1, 0.1), "green": (0.1, 0.7, 0.2), "blue": (0.1, 0.2, 0.8)}
NAMES = ("sofa", "chair", "bed", "desk", "wardrobe", "armchair", "stool", "piano")


def _house(scan):
    """Return a house of two rooms of 5 x 4 m without a wall between them, full of boxes."""
    rng = np.random.default_rng(list(scan.encode()))
    fixtures = [_box("floor", 0, (0, 0), (10, 4, 0.1), "", -0.1)]
    for number in range(24):
        corner = rng.uniform((0, 0), (9.5, 3.5))
        colour = str(rng.choice(list(TINTS)))
        room = int(corner[0] > 5)
        name = NAMES[(number + 4 * room) % len(NAMES)]
        fixtures.append(_box(name, room, corner, (0.4, 0.4, rng.uniform(0.8, 1.8)), colour))
    rooms = (Room(0, "bedroom", 0, 0, 5, 4), Room(1, "office", 5, 0, 10, 4))
    return SimpleNamespace(
        spec=MINI.specs[scan],
        plan=FloorPlan(10, 4, rooms, ()),
        scene=scene_of_fixtures(fixtures, {"plain": np.full((4, 4, 3), 200, np.uint8)}),
    )


def _box(name, room, corner, size, colour, bottom=0.0):
    middle = (corner[0] + size[0] / 2, corner[1] + size[1] / 2, bottom + size[2] / 2)
    material = Material("plain", TINTS.get(colour, (1.0, 1.0, 1.0)))
    return Fixture(name, room, (box(size, material, middle),), colour)


@pytest.fixture(scope="module")
def asked():
    """Questions of each split in order, and the answers that they could have, by task."""
    return {"generate_questions": [], "generate_gqa_questions": []}


def _recorded(function, calls):
    def recorded(images, count, rng, known):
        questions, chances = function(images, count, rng, known)
        calls.append((known, [one[0] if isinstance(one, tuple) else one for one in questions]))
        return questions, chances

    return recorded


@pytest.fixture(scope="module")
def files(tmp_path_factory, asked):
    positions = np.random.default_rng(0).uniform((0, 0, 1.5), (10, 4, 1.5), (40, 3))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(HousePanoramas, "house", lambda self, scan: _house(scan))
        patch.setattr(training_panoramas, "standing_positions", lambda house, extra: (positions, 9))
        patch.setenv("CLIPNAV_CACHE", str(tmp_path_factory.mktemp("cache")))
        for name, calls in asked.items():
            patch.setattr(generation, name, _recorded(getattr(generation, name), calls))
        cached = cached_house_tasks(CONFIG)
        other = make_house_tasks(tmp_path_factory.mktemp("tasks"), CONFIG)
        assert cached_house_tasks(CONFIG) == cached  # without rendering
    return cached, other


def test_pretraining_finds_the_pairs_with_its_defaults(files, run_command, tmp_path):
    run, folder = tmp_path / "run", files[1].folder
    sizes = ("--text.hidden-size", "16", "--text.layers", "1", "--text.heads", "2")
    quick = ("--iterations", "2", "--batch-size", "8", "--workers", "0", "--threads", "1")
    printed = run_command("pretrain-vl", "--data", folder, *sizes, *quick, "--output", run)
    assert json.loads((run / "config.json").read_text())["preset"] == "houses"
    results = json.loads((run / "results.json").read_text())["results"]
    assert list(results) == ["val_seen", "val_unseen"]
    for split, figures in results.items():
        assert {"words_accuracy", "matching_accuracy", "answers_accuracy"} <= figures.keys()
        accuracy, answers = figures["accuracy"], figures["answers_accuracy"]
        assert f"{split}: accuracy {100 * accuracy:.1f} (loss " in printed
        assert f", answers {100 * answers:.1f} (loss {figures['answers_loss']:.3f})" in printed
    assert results["val_seen"] != results["val_unseen"]
    records = json.loads((folder / "lxmert_train.json").read_text())
    sentences = sum(len(texts) for one in records for texts in one["sentf"].values())
    assert len(open_pairs(folder, ("train",), folder / "images").images) == sentences


def test_generation_does_not_depend_on_the_order_of_sets(capsys):
    """Compare this process with another, whose string hashes and so orders of sets differ."""
    program = (
        "import numpy as np\n"
        "from clipnav.vl_tasks.house_tasks.gqa_files import AnswerChoices\n"
        "from clipnav.vl_tasks.house_tasks.gqa_files import gqa_records\n"
        "from clipnav.vl_tasks.house_tasks.gqa_questions import QuestionScene\n"
        "from clipnav.vl_tasks.house_tasks.gqa_questions import generate_gqa_questions\n"
        "from clipnav.vl_tasks.house_tasks.hypotheses import generate_hypotheses\n"
        "from clipnav.vl_tasks.house_tasks.images import HouseImage, Thing\n"
        "from clipnav.vl_tasks.house_tasks.questions import generate_questions\n"
        "rng = np.random.default_rng(0)\n"
        "names, colours = ['sofa', 'chair', 'bed', 'rug'], ['red', 'blue', 'green', 'white']\n"
        "things = [tuple(Thing(n, str(rng.choice(colours)), 0.1, rng.uniform(-1, 1),\n"
        "    rng.uniform(1, 6)) for n in names if rng.random() < 0.5) for _ in range(60)]\n"
        "rooms = frozenset({'office', 'gym'})\n"
        "images = [HouseImage(k, '', '', t, 'office' if k % 2 else '', rooms)\n"
        "    for k, t in enumerate(things)]\n"
        "print([w for _, w in generate_questions(images, 99, np.random.default_rng(1))[0]])\n"
        "print([w for _, w in generate_hypotheses(images, 99, np.random.default_rng(1))[0]])\n"
        "scenes = [QuestionScene(image) for image in images]\n"
        "questions, _ = generate_gqa_questions(scenes, 99, np.random.default_rng(1))\n"
        "choices = AnswerChoices(scenes)\n"
        "print(gqa_records(scenes, questions, choices, np.random.default_rng(1)))\n"
    )
    exec(program, {})
    text = capsys.readouterr().out
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    other = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert other.stdout == text
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
    written = files[0]
    summary = json.loads(written.summary.read_text())["splits"][split]
    questions = read_questions(written.questions(split), written.annotations(split))
    assert len(questions) == summary["questions"] > 0
    assert all(question.answers == (question.majority_answer,) * 10 for question in questions)
    assert {question.answer_type for question in questions} <= {"yes/no", "number", "other"}
    images = question_images(questions, written.images(split))
    image = next(iter(images.values()))
    assert image.name.startswith(f"COCO_{split}_0000")
    assert read_image(image).size == (48, 48)
    hypotheses = read_hypotheses(written.hypotheses(split))
    assert len(hypotheses) == summary["hypotheses"] > 0
    assert summary["chance_of_labels"]["all"] == pytest.approx(1 / 3)
    assert hypothesis_images(hypotheses, written.images(split))
    assert all(hypothesis.premise.endswith(".") for hypothesis in hypotheses)


@pytest.mark.parametrize("split", SPLITS)
def test_gold_answers_have_full_gqa_scores(files, split):
    written = files[0]
    summary = json.loads(written.summary.read_text())["splits"][split]
    questions = read_gqa_questions(written.gqa_questions(split, balanced=False))
    assert len(questions) == summary["all_gqa_questions"] > summary["gqa_questions"] > 0
    gold = {key: one.answer for key, one in questions.items()}
    choices = read_gqa_choices(written.gqa_choices(split))
    scores = score_gqa(questions, gold, choices, with_consistency=True)
    assert [getattr(scores, name) for name in SUMMARY] == [100] * 6 + [0]
    balanced = read_gqa_questions(written.gqa_questions(split))
    assert balanced == {key: one for key, one in questions.items() if one.balanced}
    assert len(balanced) == summary["gqa_questions"]
    images = find_named(written.images(split), {one.imageId: "" for one in questions.values()})
    assert read_image(next(iter(images.values()))).size == (48, 48)


def test_gqa_records_have_the_fields_of_gqa(files):
    written = files[0]
    records = json.loads(written.gqa_questions("train", balanced=False).read_text())
    graphs = json.loads(written.scene_graphs("train").read_text())
    fields = ("imageId question answer fullAnswer isBalanced types groups semantic entailed "
              "equivalent").split()  # fmt: skip
    for key, one in records.items():
        assert sorted(one) == sorted(fields)
        assert key in one["equivalent"]
        assert all(records[other]["imageId"] == one["imageId"] for other in one["entailed"])
        objects = graphs[one["imageId"]]["objects"]
        for step in one["semantic"]:
            for ids in re.findall(r"\(([\d,]+)\)$", step["argument"]):
                assert set(ids.split(",")) <= objects.keys()
    graph = next(one for one in graphs.values() if one["objects"])
    thing = next(iter(graph["objects"].values()))
    assert 0 <= thing["x"] < thing["x"] + thing["w"] <= graph["width"] == 48
    assert 0 <= thing["y"] < thing["y"] + thing["h"] <= graph["height"] == 48


@pytest.mark.parametrize("split", SPLITS)
def test_pairs_have_the_form_of_lxmert(files, split):
    written = files[0]
    records = json.loads(written.pairs(split).read_text())
    karpathy = {"train": "train", "val_seen": "val", "val_unseen": "test"}[split]
    captioned = read_captions(written.captions, karpathy)
    assert len(records) == len(captioned)
    answers = Counter()
    for record, image in zip(records, captioned, strict=True):
        assert record.keys() == {"img_id", "sentf", "labelf"}
        assert record["sentf"].keys() - {"captions"} == record["labelf"].keys()
        assert record["sentf"]["captions"] == list(image.raw)
        assert record["img_id"].endswith(f"{image.image_id:012d}")
        for source, labels in record["labelf"].items():
            assert len(record["sentf"][source]) == len(labels)
            assert all(list(label.values()) == [1.0] for label in labels)
            answers[source] += len(labels)
    summary = json.loads(written.summary.read_text())["splits"][split]
    counts = {"vqa": summary["questions"], "gqa": summary["gqa_questions"]}
    assert answers == counts
    assert summary["pairs"] == sum(counts.values()) + summary["captions"]


def test_texts_of_an_earlier_call_do_not_remain_in_other_languages(tmp_path, monkeypatch):
    files = HouseTaskFiles(tmp_path)
    for language in ("fr", "hi"):
        own = files.in_language(language)
        own.folder.mkdir(parents=True)
        for split in SPLITS:
            own.questions(split).write_text("{}")
            own.pairs(split).write_text("[]")
        (own.folder / "notes.txt").write_text("of the user")
    monkeypatch.setattr("clipnav.vl_tasks.house_tasks.generation._write_all", lambda *_: None)
    make_house_tasks(tmp_path, replace(CONFIG, languages=("en", "hi")))
    assert [path.name for path in files.in_language("fr").folder.iterdir()] == ["notes.txt"]
    assert files.in_language("hi").pairs("train").is_file()
