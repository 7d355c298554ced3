from itertools import pairwise

import numpy as np
import pytest
from pycocoevalcap.cider.cider_scorer import CiderScorer, precook

from clipnav.vl_tasks.captioning.cider import CiderD, caption_lengths
from clipnav.vl_tasks.data.captions import CaptionedImage, caption_vocabulary, encode_captions


@pytest.fixture(scope="module")
def encoded(made_up):
    """Vocabulary, reference rows, first rows and prediction rows of 80 pictures."""
    predictions, references = made_up(80, 5)
    images = [
        CaptionedImage(key, "", "train", tuple(tuple(text.split()) for text in given), ())
        for key, given in references.items()
    ]
    vocabulary = caption_vocabulary(images, min_count=1)
    rows, first = encode_captions(images, vocabulary, max_words=16)
    return vocabulary, rows, first, vocabulary.encode([p.split() for p in predictions.values()], 17)


@pytest.fixture(scope="module")
def statistics(encoded):
    vocabulary, rows, first, _ = encoded
    return CiderD.build(rows, first, len(vocabulary), end_counts=True)


def _text(row, end_counts):
    words = row[: caption_lengths(row[None])[0]].tolist() + ([0] if end_counts else [])
    return " ".join(map(str, words))


@pytest.mark.parametrize("end_counts", [False, True])
def test_a_batch_of_some_images(encoded, end_counts):
    """Document frequencies are those of all images; the batch has some, one of them twice."""
    vocabulary, rows, first, predictions = encoded
    images = np.array([5, 3, 3, 79, 0, 5])
    captions = predictions[[5, 3, 4, 79, 1, 6]]
    peer = CiderScorer()
    for start, end in pairwise(first):
        peer += ("", [_text(row, end_counts) for row in rows[start:end]])
    peer.compute_doc_freq()
    expected = []
    for image, caption in zip(images, captions, strict=True):
        # All images stay, for their number counts too.
        peer.ctest = [precook("")] * len(peer.crefs)
        peer.ctest[image] = precook(_text(caption, end_counts))
        expected.append(peer.compute_cider()[image])
    statistics = CiderD.build(rows, first, len(vocabulary), end_counts)
    assert statistics.scores(images, captions) == pytest.approx(expected, abs=1e-9)


def test_errors_explain_why_all_rewards_are_zero(statistics, encoded):
    vocabulary, rows, *_ = encoded
    images = np.array([0, 1])
    with pytest.raises(FloatingPointError, match=r"all 2 CIDEr-D rewards .* captions are empty"):
        statistics.rewards(images, np.zeros((2, 5), int))
    unknown = np.full((2, 5), vocabulary.unknown)
    with pytest.raises(FloatingPointError, match="another vocabulary"):
        statistics.rewards(images, unknown)
    single = CiderD.build(rows[:1], np.array([0, 1]), len(vocabulary))
    with pytest.raises(FloatingPointError, match="belong to a single image"):
        single.rewards(np.array([0]), rows[:1])


def test_lengths():
    captions = np.array([[3, 4, 0, 5], [1, 2, 3, 4], [0, 0, 0, 0]])
    assert caption_lengths(captions).tolist() == [2, 4, 0]
    assert caption_lengths(captions, end_counts=True).tolist() == [3, 4, 1]
