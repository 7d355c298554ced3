import numpy as np
import pytest
from PIL import ExifTags, Image

from vl_tasks.data.images import coco_name, find_named, find_numbered, read_image


def _picture(path):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((4, 6, 3), 90, np.uint8)).save(path)
    return path


def test_numbers_end_the_names_of_coco(tmp_path):
    older = _picture(tmp_path / "val2014" / coco_name("val2014", 42))
    newer = _picture(tmp_path / "000000000007.jpg")
    assert older.name == "COCO_val2014_000000000042.jpg"
    assert find_numbered(tmp_path, {42: "q", 7: "q"}) == {42: older, 7: newer}


def test_a_missing_picture_is_named_with_its_record(tmp_path):
    _picture(tmp_path / "12.png")
    with pytest.raises(FileNotFoundError, match="no picture of image 13, which question_id 5"):
        find_numbered(tmp_path, {12: "question_id 4", 13: "question_id 5"})
    with pytest.raises(FileNotFoundError, match="no such folder"):
        find_numbered(tmp_path / "nowhere", {})


def test_two_pictures_of_one_number_are_refused(tmp_path):
    _picture(tmp_path / "train" / "COCO_train_000000000001.jpg")
    _picture(tmp_path / "val" / "COCO_val_000000000001.jpg")
    with pytest.raises(ValueError, match="are both image 1, which q needs"):
        find_numbered(tmp_path, {1: "q"})


def test_names_are_stems(tmp_path):
    path = _picture(tmp_path / "4705552913.jpg")
    assert find_named(tmp_path, {"4705552913": "p"}) == {"4705552913": path}
    with pytest.raises(FileNotFoundError, match="image 470, which p needs"):
        find_named(tmp_path, {"470": "p"})


def test_pictures_are_read_as_rgb(tmp_path):
    path = tmp_path / "grey.png"
    Image.fromarray(np.full((4, 6), 90, np.uint8)).save(path)
    assert np.array_equal(np.asarray(read_image(path)), np.full((4, 6, 3), 90))


def test_photos_are_turned_upright(tmp_path):
    path = tmp_path / "photo.png"
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # the camera was held a quarter turn to the left
    Image.fromarray(pixels).save(path, exif=exif)
    np.testing.assert_array_equal(np.asarray(read_image(path)), np.rot90(pixels, -1))


def test_grey_pictures_of_16_bits_keep_their_shades(tmp_path):
    path = tmp_path / "grey16.png"
    grey = np.arange(24, dtype=np.uint16).reshape(4, 6) * 2800
    Image.fromarray(grey).save(path)
    expected = np.repeat((grey // 256)[..., None], 3, axis=2)
    np.testing.assert_array_equal(np.asarray(read_image(path)), expected)


def test_a_cut_picture_is_refused(tmp_path):
    path = tmp_path / "cut.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(ValueError, match=r"cut\.jpg: cannot be read"):
        read_image(path)
    with pytest.raises(FileNotFoundError, match=r"nowhere\.jpg"):
        read_image(tmp_path / "nowhere.jpg")
