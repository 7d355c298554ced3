import numpy as np

from agents.acting.visits import padded, visits


def test_visits_are_counted_by_candidate():
    trails = np.array([[4, 5, 4, 5, 6], [7, 7, 8, 9, 8]])
    targets = np.array([[6, 5, 4, 3], [8, 7, 9, 1]])
    assert visits(trails, targets).tolist() == [[0, 2, 2, 0], [1, 2, 1, 0]]


def test_nothing_was_visited_before_a_walk_begins():
    assert visits(np.array([[3]]), np.array([[3, 4]])).tolist() == [[0, 0]]


def test_shorter_walks_count_alike():
    trails = padded([[1, 2, 1], [1], [0, 1]])
    assert trails.shape == (3, 3)
    targets = np.array([[1, 2, 0], [1, 2, 0], [1, 2, 0]])
    assert visits(trails, targets).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
