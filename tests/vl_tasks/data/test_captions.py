import json

import pytest

from clipnav.vl_tasks.captioning.settings import CaptionConfig
from clipnav.vl_tasks.data.captions import (
    CaptionedImage,
    caption_images,
    caption_vocabulary,
    encode_captions,
    read_captions,
)
from clipnav.vl_tasks.data_folders import image_folders


def _image(cocoid, split="train", texts=("A red sofa.",)):
    return {
        "filepath": "train2014",
        "filename": f"COCO_train2014_{cocoid:012d}.jpg",
        "cocoid": cocoid,
        "imgid": 0,
        "split": split,
        "sentences": [
            {"tokens": t.lower().strip(".").split(), "raw": t, "sentid": 1} for t in texts
        ],
    }


@pytest.fixture
def read(tmp_path):
    def read(images, split=None, secret=False):
        path = tmp_path / "dataset_coco.json"
        path.write_text(json.dumps({"dataset": "coco", "images": images}))
        return read_captions(path, split, secret)

    return read


def test_a_record_is_read(read):
    (image,) = read([_image(42)])
    assert image == CaptionedImage(
        42,
        "train2014/COCO_train2014_000000000042.jpg",
        "train",
        (("a", "red", "sofa"),),
        ("A red sofa.",),
    )


def test_train_includes_restval(read):
    images = [_image(1), _image(2, "restval"), _image(3, "val"), _image(4, "test")]
    assert [i.image_id for i in read(images, "train")] == [1, 2]
    assert [i.image_id for i in read(images, "val")] == [3]
    assert len(read(images)) == 4


@pytest.mark.parametrize(
    ("images", "complaint"),
    [
        ([_image(1), _image(1)], "record 1 .*image 1 occurs twice"),
        ([_image(1, texts=())], "image 1: it has no caption"),
        ([_image(1, "val")], "contains no image of split 'train'"),
        ([{**_image(1), "filename": 3}], "record 0 of 'images' .cocoid 1.: field 'filename'"),
        ([{**_image(1), "cocoid": None, "imgid": None}], "has no cocoid"),
    ],
)
def test_errors_name_bad_caption_files(read, images, complaint):
    with pytest.raises(ValueError, match=complaint):
        read(images, "train")


def test_secret_captions_may_be_missing(read):
    unknown = {key: value for key, value in _image(2, "test").items() if key != "sentences"}
    images = [_image(1), unknown, _image(3, "test", ())]
    assert [one.captions for one in read(images, "test", secret=True)] == [(), ()]
    assert caption_vocabulary(read(images, secret=True), 1).words == ("a", "red", "sofa")
    with pytest.raises(ValueError, match="image 2: it has no caption"):
        read(images, "test")


def test_paths_may_be_relative_to_the_image_folder_or_its_parent(read, tmp_path):
    inner = tmp_path / "images"
    inner.mkdir()
    names = [_image(number)["filename"] for number in (1, 2)]
    for name in names:
        (inner / name).write_text("")
    images = read([{**_image(1), "filepath": "images"}, {**_image(2), "filepath": ""}])
    folders = image_folders(CaptionConfig(), tmp_path)
    assert caption_images(images, folders) == {1: inner / names[0], 2: inner / names[1]}
    assert image_folders(CaptionConfig(images=inner), tmp_path) == [inner]


def test_captions_are_encoded_as_token_ids(read):
    images = read([_image(1, texts=("A red sofa.", "A red.")), _image(2, texts=("A lamp.",))])
    vocabulary = caption_vocabulary(images, min_count=2)
    assert vocabulary.words == ("a", "red")
    rows, first = encode_captions(images, vocabulary, max_words=2)
    assert rows.tolist() == [[1, 2, 0], [1, 2, 0], [1, 3, 0]]
    assert first.tolist() == [0, 2, 3]
