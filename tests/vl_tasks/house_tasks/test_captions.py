import numpy as np

from clipnav.vl_tasks.house_tasks.captions import largest_things, write_captions
from clipnav.vl_tasks.house_tasks.images import HouseImage, Thing, pick_synonym


def _all_words(name):
    rng = np.random.default_rng(0)
    return {pick_synonym(name, rng) for _ in range(50)}


def test_captions_mention_the_room_and_the_largest_thing(images):
    rng = np.random.default_rng(0)
    for image in images:
        captions = write_captions(image, rng)
        assert len(captions) == 5
        largest = next((thing for thing in image.things if thing.area >= 0.01), None)
        for caption in captions:
            assert "{" not in caption
            if image.room:
                assert any(word in caption for word in _all_words(image.room) | {image.room})
            if largest:
                words = _all_words(largest.name)
                assert any(f"{largest.colour} {word}" in caption for word in words)


def test_captions_name_the_correct_side():
    image = HouseImage(1, "", "", (Thing("sofa", "red", 0.2, -0.6, 2.0),), "", frozenset())
    captions = {c for k in range(9) for c in write_captions(image, np.random.default_rng(k))}
    assert any("on the left" in caption for caption in captions)
    assert not any("right" in caption or "middle" in caption for caption in captions)


def test_captions_with_a_room_mention_only_things_in_it():
    bed = Thing("bed", "red", 0.1, 0.0, 2.0, room="bedroom")
    shelf = Thing("bookshelf", "blue", 0.2, 0.5, 4.0, room="hallway")
    image = HouseImage(1, "", "", (shelf, bed), "bedroom", frozenset({"bedroom"}))
    assert largest_things(image) == [shelf, bed]
    for caption in write_captions(image, np.random.default_rng(0)):
        assert "bed" in caption.split()
        assert not {"bookshelf", "bookcase"} & {*caption.split()}
    alone = HouseImage(2, "", "", (shelf,), "bedroom", frozenset({"bedroom"}))
    assert set(write_captions(alone, np.random.default_rng(0))) == {"a part of a bedroom"}
