import numpy as np

from clipnav.agents.layers.encoders import cropped, empty_instructions

TOKENS = np.array([[9, 4, 5, 2, 0], [9, 4, 2, 0, 0]], np.int32)


def test_empty_instructions_keep_start_and_end_token():
    assert empty_instructions(TOKENS).tolist() == [[9, 2], [9, 2]]


def test_columns_of_padding_are_cut():
    assert cropped(TOKENS).tolist() == [[9, 4, 5, 2], [9, 4, 2, 0]]
