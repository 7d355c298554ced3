"""Images that are replaced after the index of their pairs was built."""

import shutil

import numpy as np
import pytest
from PIL import Image

from clipnav.vl_tasks.clip_vil_p.data.framing import Framing
from clipnav.vl_tasks.clip_vil_p.data.loading import load_batches
from clipnav.vl_tasks.clip_vil_p.data.pair_batches import BatchKey, PairBatches
from clipnav.vl_tasks.clip_vil_p.data.pair_files import open_pairs
from clipnav.vl_tasks.clip_vil_p.data.word_pieces import WordPieces

FRAMING = Framing(64, 96)


@pytest.fixture
def images(pair_folder, tmp_path):
    return shutil.copytree(pair_folder / "images", tmp_path / "images")


@pytest.fixture
def maker(pair_folder, images):
    pairs = open_pairs(pair_folder, ["val"], images)
    pieces = WordPieces.learn([pairs[k].text for k in range(len(pairs))], 120)
    return PairBatches(pairs, pieces, None, FRAMING, 12, False, 0)


def key(*pairs):
    return BatchKey(np.array(pairs), (1, 0), np.arange(len(pairs)))


@pytest.mark.parametrize("pairs", [(0, 4), (4,)], ids=["beside others", "alone"])
@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_of_another_orientation_is_named_with_its_index(maker, images, pairs, workers):
    path = maker.index.image_path(maker.index[4].image)
    maker.make(key(0, 4))
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path)
    with pytest.raises(ValueError, match="has another orientation than its stored size") as refused:
        list(load_batches(maker.make, [key(*pairs)], workers))
    assert str(refused.value).startswith(f"{path}: ")
    assert str(refused.value).endswith(f"delete {maker.index.folder}, which is built again")
    assert maker.make(key(0)).pictures.pixels.shape == (1, 3, 64, 96)
