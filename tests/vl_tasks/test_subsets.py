import pytest

from clipnav.vl_tasks.subsets import evenly_spaced, held_out_names, is_held_out, parted


def test_an_image_is_held_out_by_its_number_and_by_its_name():
    numbers = [one for one in range(1, 2000) if is_held_out(one)]
    for name in ("COCO_val2014_{:012d}", "COCO_my_split_{:012d}", "{:012d}", "{}"):
        assert numbers == [one for one in range(1, 2000) if is_held_out(name.format(one))]
    held = [letter for letter in "abcdefghijklmnopqrstuvwxyz" if is_held_out(f"photo {letter}")]
    assert 0 < len(held) < 5


@pytest.mark.parametrize("name", ["chair{}_1.jpg", "photos/lamp{}_3.png", "{}/front.jpg"])
def test_a_twentieth_of_numbered_photos_is_held_out(name):
    names = held_out_names([name.format(number) for number in range(2000)])
    assert 60 < sum(map(is_held_out, names)) < 140


def test_names_contain_folders_only_where_they_repeat():
    assert held_out_names(["a/x.jpg", "a/b/y.png", "z"]) == ["x", "y", "z"]
    assert held_out_names(["c/a/x.jpg", "b/x.png"]) == ["a/x", "b/x"]


def test_at_least_one_image_is_held_out():
    few = [one for one in range(40) if not is_held_out(one)][:3]
    records = [(picture, place) for picture in few for place in range(2)]
    held, learnt = parted(records, lambda record: record[0])
    assert len(held) == 2
    assert len({picture for picture, _ in held}) == 1
    assert sorted(held + learnt) == records
    many = [(picture, 0) for picture in range(400)]
    held, learnt = parted(many, lambda record: record[0])
    assert {picture for picture, _ in held} == {one for one in range(400) if is_held_out(one)}
    assert sorted(held + learnt) == many
    with pytest.raises(ValueError, match="all training records belong to one image"):
        parted([(1, 0), (1, 1)], lambda record: record[0])


def test_evenly_spaced_records_include_both_ends():
    assert list(evenly_spaced(9, 3)) == [0, 4, 8]
    assert list(evenly_spaced(3, 9)) == [0, 1, 2]
