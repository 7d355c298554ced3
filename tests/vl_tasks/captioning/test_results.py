import json

import pytest

from clipnav.vl_tasks.data.captions import (
    read_any_references,
    read_references,
    read_results,
)


def test_annotations_of_coco(tmp_path):
    path = tmp_path / "captions_val2014.json"
    rows = [{"image_id": k % 2, "id": k, "caption": f"caption {k}"} for k in range(4)]
    path.write_text(json.dumps({"info": {}, "images": [], "annotations": rows}))
    assert read_references(path) == {0: ["caption 0", "caption 2"], 1: ["caption 1", "caption 3"]}
    path.write_text('{"annotations": []}')
    with pytest.raises(ValueError, match=r"captions_val2014\.json: it contains no caption"):
        read_references(path)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[]", "it contains no caption"),
        (
            '[{"image_id": 1, "caption": "a"}, {"image_id": 1, "caption": "b"}]',
            "record 1 .*two captions",
        ),
        ('[{"image_id": "1", "caption": "a"}]', r"record 0 \(image_id 1\): field 'image_id'"),
    ],
)
def test_faults_are_named(tmp_path, text, complaint):
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=complaint):
        read_results(path)


@pytest.mark.parametrize("word", ["annotations", "images"])
def test_the_words_of_captions_do_not_decide_the_format(tmp_path, word):
    path = tmp_path / "references.json"
    image = {"filename": "1.jpg", "cocoid": 1, "split": "val", "sentences": [{"tokens": [word]}]}
    path.write_text(json.dumps({"images": [image]}))
    assert read_any_references(path) == {1: [word]}
    path.write_text(json.dumps({"annotations": [{"image_id": 1, "caption": word}]}))
    assert read_any_references(path) == {1: [word]}


@pytest.mark.parametrize(
    ("images", "problem"),
    [
        ([], r"json: it contains no image; "),
        ([{"filename": "1.jpg", "cocoid": 1, "split": "test"}], "json: it contains no caption; "),
    ],
)
def test_files_without_images_or_captions_are_named(tmp_path, images, problem):
    path = tmp_path / "references.json"
    path.write_text(json.dumps({"images": images}))
    with pytest.raises(ValueError, match=problem):
        read_any_references(path)
