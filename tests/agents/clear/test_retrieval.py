import numpy as np
import pytest

from clipnav.agents.clear.retrieval import mean_summary, ranks, results_table, summary


def test_ranks_follow_cosine_similarity():
    candidates = np.array([[1.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    queries = np.array([[5.0, 1.0], [0.1, 1.0]])
    assert ranks(queries, candidates, np.array([0, 0])).tolist() == [1, 3]
    assert ranks(queries, candidates, np.array([2, 1])).tolist() == [2, 1]


def test_constant_embeddings_have_the_rank_of_chance():
    found = ranks(np.ones((5, 3)), np.ones((5, 3)), np.arange(5))
    assert found.tolist() == [3.0] * 5
    assert summary(found, 5)["R@1"] == 0


def test_figures_of_a_summary():
    figures = summary(np.array([1, 2, 10]), candidates=20)
    assert figures["MRR"] == pytest.approx((1 + 0.5 + 0.1) / 3)
    assert (figures["R@1"], figures["R@5"]) == pytest.approx((1 / 3, 2 / 3))
    assert (figures["chance"], figures["candidates"], figures["queries"]) == (0.05, 20, 3)


def test_means_are_weighted_by_queries():
    parts = [summary(np.array([1.0]), 4), summary(np.array([2.0, 2.0, 2.0]), 4)]
    mean = mean_summary(parts)
    assert mean["MRR"] == pytest.approx((1 + 3 * 0.5) / 4)
    table = results_table({"val_seen": {"trained": mean}}).splitlines()
    assert table[0].split() == ["split", "weights", "MRR", "R@1", "R@5", "chance", "N"]
    assert table[1].split()[:4] == ["val_seen", "trained", "62.5", "25.0"]
