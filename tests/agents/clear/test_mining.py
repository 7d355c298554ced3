import numpy as np
import pytest

from clipnav.agents.clear.pair_files import mine_pairs, path_embeddings

PATHS = [
    ("a", ("1", "2")),
    ("a", ("2", "3")),
    ("b", ("4", "5")),
    ("b", ("4", "5", "6")),
    ("c", ("7", "8")),
]


def test_pairs_are_similar_of_the_same_length_and_in_another_scan():
    embeddings = np.array([[1, 0], [1, 0.1], [0, 1], [1, 0], [0.9, 0.2]], float)
    pairs = mine_pairs(PATHS, embeddings)
    # The nearest path of the first two is in their own scan or has another length.
    assert [(pairs[path].scan, pairs[path].path) for path in PATHS[:2]] == [("c", ("7", "8"))] * 2
    assert pairs[PATHS[4]][:2] == PATHS[1]
    assert PATHS[3] not in pairs
    cosine = 0.9 / np.hypot(0.9, 0.2)
    assert pairs[PATHS[0]].similarity == pytest.approx(cosine)


def test_mining_in_parts_equals_an_exhaustive_search(monkeypatch):
    rng = np.random.default_rng(1)
    paths = [
        (f"s{rng.integers(4)}", tuple(f"{number}-{k}" for k in range(rng.integers(2, 4))))
        for number in range(40)
    ]
    embeddings = rng.standard_normal((40, 5))
    monkeypatch.setattr("clipnav.agents.clear.pair_files._ROWS_AT_ONCE", 7)
    pairs = mine_pairs(paths, embeddings)
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    for number, (scan, path) in enumerate(paths):
        allowed = [
            k for k, other in enumerate(paths) if other[0] != scan and len(other[1]) == len(path)
        ]
        best = max(allowed, key=lambda k: unit[k] @ unit[number])
        assert pairs[scan, path][:2] == paths[best]


def test_the_embedding_of_a_path_ignores_the_length_of_its_instructions():
    embeddings = np.array([[10.0, 0.0], [0.0, 1.0], [3.0, 0.0]])
    means = path_embeddings([[0, 1], [2]], embeddings)
    assert means.tolist() == [[0.5, 0.5], [1.0, 0.0]]
