import numpy as np
import pytest
import torch

from clipnav.storage.errors import UserError
from clipnav.vl_tasks.grids.regions import RegionSource, find_regions, read_regions


def write_regions(path, count, width=6, seed=0):
    regions = np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, x=regions.T, bbox=np.zeros((count, 4)), num_bbox=count)
    return regions


def test_regions_are_padded_and_truncated_as_in_openvqa(tmp_path):
    few = write_regions(tmp_path / "val2014/COCO_val2014_000000000042.jpg.npz", 3)
    many = write_regions(tmp_path / "train2014/COCO_train2014_000000000007.jpg.npz", 120)
    files = find_regions(tmp_path, {42: "question_id 1", 7: "question_id 2"})
    source = RegionSource(files)
    assert source.channels == 6
    grids = source.batch([42, 7, 42])
    assert grids.shape == (1, 100)
    assert grids.mask.sum(1).tolist() == [3, 100, 3]
    np.testing.assert_array_equal(grids.features[0, :3], few)
    np.testing.assert_array_equal(grids.features[1], many[:100])
    assert not grids.features[2, 3:].any()
    assert torch.equal(grids.features[0], grids.features[2])


def test_errors_name_missing_and_duplicate_files(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: the folder of regions does not exist"):
        find_regions(tmp_path / "nowhere", {})
    write_regions(tmp_path / "a/1.npz", 2)
    with pytest.raises(FileNotFoundError, match="no regions of image 2 of question_id 5"):
        find_regions(tmp_path, {1: "question_id 4", 2: "question_id 5"})
    write_regions(tmp_path / "b/COCO_val2014_000000000001.jpg.npz", 2)
    with pytest.raises(ValueError, match="both belong to image 1"):
        find_regions(tmp_path, {1: "question_id 4"})


def test_errors_name_damaged_files(tmp_path):
    path = tmp_path / "1.npz"
    write_regions(path, 2)
    whole = path.read_bytes()
    for content in (b"", whole[:40], whole[:-60]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"1\.npz: cannot be read as features"):
            read_regions(path)
    for arrays in ({"x": np.full((3, 2), np.nan)}, {"x": np.zeros(3)}, {"x": np.zeros((3, 0))}):
        np.savez(path, **arrays)
        with pytest.raises(ValueError, match=r"1\.npz: 'x' is not a finite matrix"):
            read_regions(path)
    with path.open("wb") as file:
        np.save(file, np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"1\.npz: cannot be read as features"):
        read_regions(path)
    np.savez(path, y=np.zeros((3, 2)))
    with pytest.raises(ValueError, match=r"1\.npz: cannot be read as features"):
        read_regions(path)
    with pytest.raises(ValueError, match=r"photo\.jpg: this model uses region features"):
        read_regions(tmp_path / "photo.jpg")


def test_damage_that_zipfile_and_numpy_do_not_name_is_refused(tmp_path):
    path = tmp_path / "1.npz"
    write_regions(path, 2)
    whole = path.read_bytes()
    entry = whole.index(b"PK\x01\x02")  # of the first array, in the directory of the archive
    boxes = whole.index(b"\x93NUMPY", whole.index(b"bbox.npy"))
    damaged = (
        (entry + 10, b"\x63\0"),  # unknown method of compression
        (entry + 42, b"\xff\xff\xff\x7f"),  # position of the array
        (boxes + 20, b"(" * 20),  # header of the boxes
    )
    for start, piece in damaged:
        path.write_bytes(whole[:start] + piece + whole[start + len(piece) :])
        with pytest.raises(UserError, match=r"1\.npz: cannot be read as features"):
            read_regions(path)


def test_grids_of_openai_clip_feature_are_read(tmp_path):
    """Its `clip_visual_feats.py` writes features (N, C) and g_feature (1, 512)."""
    cells = np.random.default_rng(0).normal(size=(196, 6)).astype(np.float32)
    np.savez(tmp_path / "42.npz", features=cells, g_feature=np.zeros((1, 512)))
    files = find_regions(tmp_path, {42: "question_id 1"})
    for in_rows in (False, True):
        np.testing.assert_array_equal(RegionSource(files, in_rows).batch([42]).features[0], cells)


@pytest.mark.parametrize(
    ("shape", "boxes"),
    [
        ((36, 2048), {}),
        ((36, 2048), {"bbox": np.zeros((36, 4)), "num_bbox": np.array(36)}),
        ((36, 2048), {"num_bbox": np.array([36])}),
        ((36, 64), {"bbox": np.zeros((36, 4))}),
    ],
)
def test_transposed_regions_are_refused(tmp_path, shape, boxes):
    path = tmp_path / "1.npz"
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    np.savez(path, x=x, **boxes)
    np.testing.assert_array_equal(read_regions(path, in_rows=True), x)
    message = rf"1\.npz: 'x' \(36, {shape[1]}\) contains a region per row.* VQA v2; transpose"
    with pytest.raises(ValueError, match=message):
        read_regions(path)
    np.savez(path, x=x.T, **boxes)
    np.testing.assert_array_equal(read_regions(path), x)
    message = rf"'x' \({shape[1]}, 36\) contains a region per column.* of GQA; transpose"
    with pytest.raises(ValueError, match=message):
        read_regions(path, in_rows=True)


def test_regions_are_read_where_the_boxes_match_no_axis(tmp_path):
    padded = np.zeros((2048, 100), np.float32)
    np.savez(tmp_path / "1.npz", x=padded, bbox=np.zeros((36, 4)), num_bbox=36)
    assert read_regions(tmp_path / "1.npz").shape == (100, 2048)
    np.savez(tmp_path / "2.npz", x=padded[:, :36], bbox=np.zeros(0), num_bbox=np.zeros((36, 1)))
    assert read_regions(tmp_path / "2.npz").shape == (36, 2048)
