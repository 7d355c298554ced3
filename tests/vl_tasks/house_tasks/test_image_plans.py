"""The houses of each split, and the numbers of their images."""

import pytest

from clipnav.vl_tasks.house_tasks import HouseTasksConfig
from clipnav.vl_tasks.house_tasks.generation import plan_images


def test_plans_distribute_images_evenly_over_houses():
    plans = plan_images("train", HouseTasksConfig(train=100, houses=40))
    assert len(plans) == 34
    assert {plan.count for plan in plans} == {2, 3}
    ids = [n for plan in plans for n in range(plan.first_id, plan.first_id + plan.count)]
    assert ids == list(range(1, 101))
    with pytest.raises(ValueError, match="--val-seen 0: must be at least 1"):
        plan_images("val_seen", HouseTasksConfig(val_seen=0))
    with pytest.raises(ValueError, match="--houses 1: must be from 2 to 92"):
        plan_images("train", HouseTasksConfig(houses=1))


def test_another_house_set_shares_no_house():
    usual, other = HouseTasksConfig(), HouseTasksConfig(set="standard", houses=15)
    assert usual.key != other.key
    scans = {
        split: [plan.scan for plan in plan_images(split, other)]
        for split in ("train", "val_unseen")
    }
    assert scans["val_unseen"] == ["standard_60", "standard_61", "standard_62"]
    assert len(scans["train"]) == 12
    with pytest.raises(ValueError, match="--houses 71: must be from 2 to 70"):
        plan_images("train", HouseTasksConfig(set="standard", houses=71))
