import numpy as np

from vl_tasks.house_tasks.captions import write_captions
from vl_tasks.house_tasks.views import Thing, View
from vl_tasks.house_tasks.wording import say


def _all_words(name):
    rng = np.random.default_rng(0)
    return {say(name, rng) for _ in range(50)}


def test_captions_tell_room_and_large_things(views):
    rng = np.random.default_rng(0)
    for view in views:
        captions = write_captions(view, rng)
        assert len(captions) == 5
        largest = next((thing for thing in view.things if thing.area >= 0.01), None)
        for caption in captions:
            assert "{" not in caption
            if view.room:
                assert any(word in caption for word in _all_words(view.room) | {view.room})
            if largest:
                words = _all_words(largest.name)
                assert any(f"{largest.colour} {word}" in caption for word in words)


def test_small_things_are_not_told():
    things = (Thing("sofa", "red", 0.2, -0.6, 2.0), Thing("chair", "blue", 0.005, 0.6, 4.0))
    view = View(1, "", "", things, "kitchen", frozenset())
    captions = write_captions(view, np.random.default_rng(0))
    assert not any("chair" in caption for caption in captions)


def test_sides_are_those_of_the_picture():
    view = View(1, "", "", (Thing("sofa", "red", 0.2, -0.6, 2.0),), "", frozenset())
    captions = {c for k in range(9) for c in write_captions(view, np.random.default_rng(k))}
    assert any("on the left" in caption for caption in captions)
    assert not any("right" in caption or "middle" in caption for caption in captions)


def test_nothing_to_tell():
    view = View(1, "", "", (), "", frozenset())
    assert len(write_captions(view, np.random.default_rng(0))) == 5
    kitchen = View(1, "", "", (), "office", frozenset())
    assert write_captions(kitchen, np.random.default_rng(0))[0] == "a part of an office"
