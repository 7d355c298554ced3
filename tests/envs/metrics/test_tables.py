from clipnav.envs.metrics import aligned


def test_texts_go_to_the_left_and_figures_to_the_right():
    rows = [["split", "who", "SR"], ["val", "follower", "7.25"], ["a", "b", ""]]
    assert aligned(rows, texts=2) == "split  who         SR\nval    follower  7.25\na      b"
    assert aligned([["a", "b"], ["long", "12"]]) == "a      b\nlong  12"
