"""A small data set of coloured shapes in the file formats of all three tasks."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from safetensors.torch import load_file

from clipnav.vl_tasks.grids.grids import Grids

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 210)}
SHAPES = ("circle", "square")
COUNTS = {"train": 48, "val": 12, "test": 6}


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """Separate cache, so that tests neither read nor write the user's cache."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache")
        patch.setenv("CLIPNAV_CACHE", str(folder))
        yield folder


@pytest.fixture(scope="session")
def golden_system(golden_systems):
    """Function that returns description and tensors of a golden system by name."""

    def read(name):
        path = golden_systems / f"{name}.json"
        return json.loads(path.read_text()), load_file(path.with_suffix(".safetensors"))

    return read


@pytest.fixture(scope="session")
def shapes(tmp_path_factory) -> Path:
    """Folder of the data set; the split "test" has no answers, labels and captions."""
    return write_shapes(tmp_path_factory.mktemp("shapes"))


def write_shapes(folder: Path) -> Path:
    rng = np.random.default_rng(3)
    captioned = []
    number = 0
    for split, count in COUNTS.items():
        (folder / "images" / split).mkdir(parents=True)
        questions, annotations, hypotheses = [], [], []
        for k in range(count):
            number += 1
            colour, shape = list(COLOURS)[k % 3], SHAPES[k // 3 % 2]
            name = f"COCO_{split}_{number:012d}.png"
            draw_shape(colour, shape, rng).save(folder / "images" / split / name)
            pairs = [("what colour is it?", colour), ("what shape is it?", shape)]
            for index, (text, answer) in enumerate(pairs):
                question = {"question_id": 10 * number + index, "image_id": number}
                questions.append({**question, "question": text})
                annotations.append({**question, **annotation(answer)})
            hypotheses += hypothesis_records(name, colour, k)
            captioned.append(caption_record(split, name, number, colour, shape))
        write(folder / f"v2_OpenEnded_shapes_{split}_questions.json", {"questions": questions})
        if split != "test":
            path = folder / f"v2_shapes_{split}_annotations.json"
            write(path, {"annotations": annotations})
        if split == "test":
            for one in hypotheses:
                del one["gold_label"]
            for one in captioned[-count:]:
                del one["sentences"]
        lines = "".join(json.dumps(one) + "\n" for one in hypotheses)
        (folder / f"snli_ve_{split}.jsonl").write_text(lines)
    write(folder / "dataset_shapes.json", {"images": captioned})
    return folder


def draw_shape(colour, shape, rng):
    image = Image.new("RGB", (64, 64), (225, 225, 225))
    x, y = rng.integers(4, 24, 2).tolist()
    side = int(rng.integers(28, 38))
    draw = ImageDraw.Draw(image)
    paint = draw.ellipse if shape == "circle" else draw.rectangle
    paint((x, y, x + side, y + side), fill=COLOURS[colour])
    return image


def annotation(answer):
    return {
        "question_type": "what",
        "answer_type": "other",
        "multiple_choice_answer": answer,
        "answers": [{"answer": answer}] * 10,
    }


def hypothesis_records(name, colour, k):
    other = list(COLOURS)[(k + 1) % 3]
    labelled = [("entailment", f"it is {colour}"), ("contradiction", f"it is {other}")]
    return [
        {
            "Flickr30K_ID": Path(name).stem,
            "pairID": f"{name}#{label[0]}",
            "sentence2": text,
            "gold_label": label,
        }
        for label, text in labelled
    ]


def caption_record(split, name, number, colour, shape):
    texts = [f"a {colour} {shape}", f"one {shape} that is {colour}"]
    return {
        "filepath": split,
        "filename": name,
        "cocoid": number,
        "split": split,
        "sentences": [{"tokens": text.split(), "raw": f"{text}."} for text in texts],
    }


def write(path, content):
    path.write_text(json.dumps(content))


@pytest.fixture(scope="session")
def gqa_shapes(shapes, tmp_path_factory):
    """Folder of the same images with GQA questions.

    The split "test" has no answers, "val" has all files.
    """
    return write_gqa_shapes(tmp_path_factory.mktemp("gqa"), shapes)


def write_gqa_shapes(folder: Path, shapes: Path) -> Path:
    (folder / "images").symlink_to(shapes / "images")
    for split in ("train", "val", "test"):
        balanced, entailed, choices = {}, {}, {}
        for path in sorted((shapes / "images" / split).iterdir()):
            number = int(path.stem[-12:]) - 1
            start = {"train": 0, "val": 48, "test": 60}[split]
            k = number - start
            colour, shape = list(COLOURS)[k % 3], SHAPES[k // 3 % 2]
            ids = [f"{split}{number}{letter}" for letter in "abc"]
            balanced[ids[0]] = _gqa_record(path, "What colour is it?", colour, "query", [ids[2]])
            balanced[ids[1]] = _gqa_record(
                path, "Is it a circle?", _yes(shape == "circle"), "verify"
            )
            text = f"Is it {list(COLOURS)[number % 2]}?"
            answer = _yes(list(COLOURS)[number % 2] == colour)
            entailed[ids[2]] = _gqa_record(path, text, answer, "verify", balanced=False)
            choices |= {ids[0]: _choice(list(COLOURS)), ids[1]: _choice(["yes", "no"])}
        if split == "test":
            secret = {
                key: {"question": one["question"], "imageId": one["imageId"]}
                for key, one in {**balanced, **entailed}.items()
            }
            write(folder / "test_all_questions.json", secret)
            continue
        write(folder / f"{split}_balanced_questions.json", balanced)
        if split == "val":
            write(folder / "val_all_questions.json", {**balanced, **entailed})
            write(folder / "val_choices.json", choices)
    return folder


def _yes(value):
    return "yes" if value else "no"


def _choice(answers):
    return {"valid": answers, "plausible": answers}


def _gqa_record(path, text, answer, structural, entailed=(), balanced=True):
    return {
        "imageId": path.stem,
        "question": text,
        "answer": answer,
        "isBalanced": balanced,
        "types": {"structural": structural, "semantic": "attr", "detailed": ""},
        "groups": {"global": None if structural == "verify" else "color", "local": None},
        "semantic": [{"operation": "select", "argument": "it", "dependencies": []}],
        "entailed": list(entailed),
    }


@pytest.fixture
def padded_grids():
    """Function that returns random grids of 3 x 4 cells, and the same with noise as padding."""

    def make(count=2, channels=6, filling=3.0):
        generator = torch.Generator().manual_seed(0)
        real = torch.randn(count, 3, 4, channels, generator=generator)
        wide = filling * torch.randn(count, 5, 6, channels, generator=generator)
        wide[:, :3, :4] = real
        mask = torch.zeros(count, 5, 6, dtype=torch.bool)
        mask[:, :3, :4] = True
        full = torch.ones(count, 12, dtype=torch.bool)
        return (
            Grids(real.flatten(1, 2), full, (3, 4)),
            Grids(wide.flatten(1, 2), mask.flatten(1), (5, 6)),
        )

    return make
