"""A suite in the tiny world, and agents for it."""

import pytest

from clipnav.bench.kinds import RunOptions
from clipnav.bench.suites import FOLDER, Place, parse_suite

SUITE = """
name = "tiny"
version = 1
title = "R2R of two little buildings"
world = "matterport"
world_version = 2
seeds = [0, 1]
cluster = "path"

[[parts]]
name = "r2r/val_unseen"
kind = "graph"
dataset = "r2r"
split = "val_unseen"
max_steps = 20
metrics = ["SPL", "SR", "NE", "nDTW"]
"""
OPTIONS = RunOptions(batch_size=3)


@pytest.fixture
def suite():
    return parse_suite(SUITE, FOLDER)


@pytest.fixture
def place(tiny_world):
    return Place("matterport", tiny_world, tiny_world / "features.safetensors")
