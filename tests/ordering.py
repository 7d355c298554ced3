"""Hooks of pytest: the order of the tests, and less search for garbage and constants."""

import gc
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
# Files that take 20 s and more: they begin first, as several processes end together only if what is
# left at the end is short.
LONGEST = (
    "kills/test_kills.py",
    "clipnav/test_demo.py",
    "agents/duet/test_turning_back.py",
    "test_tutorials.py",
    "test_distribution.py",
    "test_plugin.py",
    "agents/hamt/test_fine_tuning.py",
    "viewer/page/test_page_walks.py",
    "viewer/page/test_page_episodes.py",
    "viewer/page/test_page_looks.py",
    "viewer/page/test_page_motion.py",
    "vl_tasks/test_commands.py",
    "vl_tasks/clip_vil_p/test_pretraining.py",
    "test_site.py",
    "envs/houses/building/test_house.py",
)

# Modules and tests make millions of objects that stay; looking for garbage among them as often as
# by default took a quarter of the time in which tests are collected.
gc.set_threshold(10_000)


def pytest_collection_modifyitems(items):
    """Begin with the longest files; others keep their order."""
    rank = {FOLDER / name: number for number, name in enumerate(LONGEST)}
    items.sort(key=lambda item: rank.get(item.path, len(rank)))


def pytest_collection_finish():
    """Do not look for garbage among the modules and tests any more, nor for constants in modules.

    Hypothesis would parse the sources of all modules for constants that it can try.
    """
    gc.freeze()
    if providers := sys.modules.get("hypothesis.internal.conjecture.providers"):
        providers.is_local_module_file = lambda path: False  # type: ignore[attr-defined]
