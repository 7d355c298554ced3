import numpy as np

from clipnav.agents.envdrop.action_scores import count_visits, pad_histories


def test_visits_are_counted_by_candidate():
    histories = np.array([[4, 5, 4, 5, 6], [7, 7, 8, 9, 8]])
    targets = np.array([[6, 5, 4, 3], [8, 7, 9, 1]])
    assert count_visits(histories, targets).tolist() == [[0, 2, 2, 0], [1, 2, 1, 0]]


def test_padding_of_shorter_walks_is_not_counted():
    histories = pad_histories([[1, 2, 1], [1], [0, 1]])
    assert histories.shape == (3, 3)
    targets = np.array([[1, 2, 0], [1, 2, 0], [1, 2, 0]])
    assert count_visits(histories, targets).tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
