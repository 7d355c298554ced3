import numpy as np
import pytest
from PIL import ExifTags, Image

from clipnav.vl_tasks.data.images import (
    coco_name,
    find_numbered,
    read_image,
)


def _image(path):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), 90, np.uint8)).save(path)
    return path


def test_coco_images_are_found_by_the_number_in_their_names(tmp_path):
    older = _image(tmp_path / "val2014" / coco_name("val2014", 42))
    newer = _image(tmp_path / "000000000007.jpg")
    assert older.name == "COCO_val2014_000000000042.jpg"
    assert find_numbered(tmp_path, {42: "q", 7: "q"}) == {42: older, 7: newer}


def test_errors_name_a_missing_image_and_its_record(tmp_path):
    _image(tmp_path / "12.png")
    with pytest.raises(FileNotFoundError, match="no file of image 13 of question_id 5"):
        find_numbered(tmp_path, {12: "question_id 4", 13: "question_id 5"})
    with pytest.raises(FileNotFoundError, match="nowhere: the image folder does not exist"):
        find_numbered(tmp_path / "nowhere", {})


def test_two_images_with_one_number_are_refused(tmp_path):
    _image(tmp_path / "train" / "COCO_train_000000000001.jpg")
    _image(tmp_path / "val" / "COCO_val_000000000001.jpg")
    with pytest.raises(ValueError, match="are both image 1 of q"):
        find_numbered(tmp_path, {1: "q"})


def test_images_are_rotated_as_in_exif(tmp_path):
    path = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # rotate by 90 degrees clockwise
    Image.fromarray(pixels).save(path, exif=exif)
    np.testing.assert_array_equal(np.asarray(read_image(path)), np.rot90(pixels, -1))


def test_16_bit_greyscale_images_keep_their_upper_bits(tmp_path):
    path = tmp_path / "grey16.png"
    grey = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2800
    Image.fromarray(grey).save(path)
    expected = np.repeat((grey // 256)[..., None], 3, axis=2)
    np.testing.assert_array_equal(np.asarray(read_image(path)), expected)


def test_a_truncated_image_is_refused(tmp_path):
    path = tmp_path / "cut.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ValueError, match=r"cut\.jpg: cannot be read"):
        read_image(path)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        read_image(tmp_path / "nowhere.jpg")
