import pytest
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge

from clipnav.vl_tasks.captioning.metrics import (
    cider_d,
    evaluate_captions,
    rouge_l,
    score_captions,
)


def _pycocoevalcap(predictions, references):
    given = {key: [text] for key, text in predictions.items()}
    bleu, _ = Bleu(4).compute_score(references, given, verbose=0)
    return {
        **{f"Bleu_{n}": value for n, value in enumerate(bleu, start=1)},
        "ROUGE_L": Rouge().compute_score(references, given)[0],
        "CIDEr-D": Cider().compute_score(references, given)[0],
    }


@pytest.mark.parametrize(("images", "seed"), [(300, 0), (2, 1), (1, 2)])
def test_equal_to_pycocoevalcap(made_up, images, seed):
    predictions, references = made_up(images, seed)
    expected = _pycocoevalcap(predictions, references)
    assert score_captions(predictions, references) == pytest.approx(expected, abs=1e-9)


def test_each_caption_is_equal_to_pycocoevalcap(made_up):
    predictions, references = made_up(60, 3)
    given = {key: [text] for key, text in predictions.items()}
    _, expected = Cider().compute_score(references, given)
    scores = cider_d(list(predictions.values()), list(references.values()))
    assert scores == pytest.approx(expected, abs=1e-9)


def test_known_values():
    assert rouge_l("a b c d", ["a x c d"]) == pytest.approx(0.75)
    assert rouge_l("a b", ["c d"]) == 0


def test_gaps_are_named():
    with pytest.raises(ValueError, match="no caption to score"):
        score_captions({}, {})
    with pytest.raises(ValueError, match="1 of 1 images have no reference, such as 7"):
        score_captions({7: "a dog"}, {8: ["a dog"]})


def test_the_tokenizer_is_named():
    found = evaluate_captions(
        {1: "A man's hat.", 2: "Two dogs, running!"},
        {1: ["a man 's hat"], 2: ["two dogs run", "dogs"]},
        tokenizer="python",
        with_meteor=False,
    )
    assert (found.tokenizer, found.images) == ("PTB-like (Python)", 2)
    expected = score_captions(
        {1: "a man 's hat", 2: "two dogs running"},
        {1: ["a man 's hat"], 2: ["two dogs run", "dogs"]},
    )
    assert found.scores == expected
