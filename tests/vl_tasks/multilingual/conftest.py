"""Questions about coloured shapes in three languages, and settings of tiny networks."""

import json

import pytest

from tests.vl_tasks.conftest import write_shapes

WORDS = {
    "fr": {"what colour is it?": "quelle couleur ?", "what shape is it?": "quelle forme ?"},
    "hi": {"what colour is it?": "यह किस रंग का है?", "what shape is it?": "यह क्या आकार है?"},
}  # fmt: skip
PAIRS = {
    "en": "a {} {}",
    "fr": "une forme {} {}",
    "hi": "{} {} आकार",
}
SIZES = (
    "--trunk.random-weights", "--text.vocabulary-size", 150, "--text.hidden-size", 32,
    "--text.layers", 1, "--text.heads", 2, "--text.feed-forward-size", 48, "--image-size", 64, 64,
)  # fmt: skip
NEW = tuple(f"--multilingual.{one[2:]}" if str(one).startswith("--") else one for one in SIZES)
SMALL = (
    "--threads", 1, "--batch-size", 8, "--evaluate-every", 2, "--iterations", 4,
)  # fmt: skip


@pytest.fixture(scope="session")
def languages(tmp_path_factory):
    """Folder of the shapes with French and Hindi questions and pairs."""
    folder = write_shapes(tmp_path_factory.mktemp("languages"))
    for language, words in WORDS.items():
        (folder / "languages" / language).mkdir(parents=True)
        for path in folder.glob("v2_OpenEnded_*_questions.json"):
            content = json.loads(path.read_text())
            for record in content["questions"]:
                record["question"] = words[record["question"]]
            (folder / "languages" / language / path.name).write_text(json.dumps(content))
    for language, frame in PAIRS.items():
        own = folder if language == "en" else folder / "languages" / language
        for split in ("train", "val"):
            records = [
                {"img_id": path.stem, "sentf": {"captions": [frame.format("red", "circle")]}}
                for path in sorted((folder / "images" / split).iterdir())
            ]
            (own / f"lxmert_{split}.json").write_text(json.dumps(records))
    return folder


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")
