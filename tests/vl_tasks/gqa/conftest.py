"""The coloured shapes with questions in the format of GQA."""

import json

import pytest

COLOURS, SHAPES = ["red", "green", "blue"], ["circle", "square"]


@pytest.fixture(scope="session")
def gqa_shapes(shapes, tmp_path_factory):
    """Folder of the data; the split "test" has no answers, "val" has all files."""
    folder = tmp_path_factory.mktemp("gqa")
    (folder / "images").symlink_to(shapes / "images")
    for split in ("train", "val", "test"):
        balanced, entailed, choices = {}, {}, {}
        for path in sorted((shapes / "images" / split).iterdir()):
            number = int(path.stem[-12:]) - 1
            start = {"train": 0, "val": 48, "test": 60}[split]
            k = number - start
            colour, shape = COLOURS[k % 3], SHAPES[k // 3 % 2]
            ids = [f"{split}{number}{letter}" for letter in "abc"]
            balanced[ids[0]] = _record(path, "What colour is it?", colour, "query", [ids[2]])
            balanced[ids[1]] = _record(path, "Is it a circle?", _yes(shape == "circle"), "verify")
            text = f"Is it {COLOURS[number % 2]}?"
            answer = _yes(COLOURS[number % 2] == colour)
            entailed[ids[2]] = _record(path, text, answer, "verify", balanced=False)
            choices |= {ids[0]: _choice(COLOURS), ids[1]: _choice(["yes", "no"])}
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


def _record(path, text, answer, structural, entailed=(), balanced=True):
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


def write(path, content):
    path.write_text(json.dumps(content))
