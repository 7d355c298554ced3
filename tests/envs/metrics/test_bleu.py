import math
import random

import pytest
import sacrebleu
from sacrebleu.metrics import BLEU

from clipnav.envs.metrics.bleu import coco_bleu, corpus_bleu

CAT = "the cat sat on the mat".split()


def test_closed_form():
    # "the cat sat on a mat": 5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 quadruples.
    candidate = "the cat sat on a mat".split()
    expected = (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** (1 / 4)
    assert corpus_bleu([candidate], [[CAT]]) == pytest.approx(expected)


def test_the_brevity_penalty_takes_the_closest_or_the_shortest_length():
    candidate, longer = CAT[:5], [*CAT, "again", "today", "too"]
    assert corpus_bleu([candidate], [[CAT, longer]]) == pytest.approx(math.exp(1 - 6 / 5))
    references = [[CAT, longer, CAT[:2]]]  # the closest one has six words, the shortest two
    assert corpus_bleu([candidate], references) == pytest.approx(math.exp(1 - 6 / 5))
    assert corpus_bleu([candidate], references, "shortest") == 1.0


def test_nothing_in_common_scores_zero():
    assert corpus_bleu([["x", "y"]], [[CAT]]) == 0.0


def test_every_candidate_needs_references():
    with pytest.raises(ValueError, match="2 candidates"):
        corpus_bleu([CAT, CAT], [[CAT]])


def test_coco_bleu_of_a_candidate_without_common_trigrams():
    # One of three bigrams, and no trigram; no penalty, because the lengths are equal.
    bleu = coco_bleu([list("abcd")], [[list("abxy")]])
    assert bleu[:2] == pytest.approx([0.5, (0.5 / 3) ** 0.5])
    assert bleu[2] < 1e-4


def test_corpus_bleu_equals_that_of_sacrebleu():
    rng = random.Random(0)

    def sentence(longest):
        return rng.choices("a b c d e".split(), k=rng.randint(4, longest))

    for longest in (6, 12, 30):
        candidates = [sentence(longest) for _ in range(20)]
        references = [[sentence(longest) for _ in range(3)] for _ in candidates]
        streams = [[" ".join(own[i]) for own in references] for i in range(3)]
        other = sacrebleu.corpus_bleu(
            [" ".join(words) for words in candidates],
            streams,
            smooth_method="none",
            tokenize="none",
        )
        assert other.score > 0
        assert corpus_bleu(candidates, references) == pytest.approx(other.score / 100, abs=1e-12)


def test_coco_bleu_equals_that_of_sacrebleu_where_all_orders_match():
    candidates, references = (
        [list("abcdefgh"), list("xyzabc")],
        [[list("abcdefgx")], [list("xyzab")]],
    )
    for order, value in enumerate(coco_bleu(candidates, references), 1):
        other = BLEU(smooth_method="none", tokenize="none", max_ngram_order=order)
        joined = [[" ".join(own[0]) for own in references]]
        score = other.corpus_score([" ".join(words) for words in candidates], joined).score
        assert value == pytest.approx(score / 100, abs=1e-6)
