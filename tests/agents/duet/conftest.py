"""Fixtures: settings of small map agents, and a corridor in which only turning back succeeds."""

import dataclasses
import json

import numpy as np
import pytest

from clipnav.agents.duet.settings import MapTrainConfig, MapTransformerConfig
from clipnav.storage.features.store import FeatureStore
from clipnav.training.optimiser_settings import OptimiserConfig
from tests.conftest import connectivity_records

NETWORK = MapTransformerConfig(
    hidden_size=32,
    heads=2,
    feed_forward_size=64,
    text_layers=1,
    panorama_layers=1,
    cross_layers=1,
    max_text_length=80,
    max_steps=12,
    dropout=0.0,
    feature_dropout=0.0,
)


@pytest.fixture
def map_config(doors_run, tmp_path):
    """Settings of a small map agent in the world of the doors."""
    return MapTrainConfig(
        **{**doors_run, "batch_size": 8, "max_episode_steps": 30},
        iterations=150,
        max_decisions=4,
        output=tmp_path / "run",
        network=NETWORK,
        optimiser=OptimiserConfig(name="adam", learning_rate=2e-3, schedule="cosine", warmup=20),
    )


@pytest.fixture
def short_config(map_config):
    """Settings of a run of a few iterations with all kinds of dropout."""
    return dataclasses.replace(
        map_config,
        iterations=6,
        instructions_per_path=3,
        cloning_iterations=2,
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        network=dataclasses.replace(
            NETWORK,
            dropout=0.1,
            feature_dropout=0.3,
            feature_dropout_kind="episode",
            standardise=True,
        ),
    )


goals: dict[str, int] = {}  # index of the goal among the leaves, by scan
TREES = {"train": 24, "val_seen": 4, "val_unseen": 8}
ARMS, LEAVES = 3, 2


@pytest.fixture(scope="session")
def trees(tmp_path_factory):
    """Data folder: per scan a start `c` with three arms, each of which ends in two leaves.

    The views of one leaf, the goal, show a mark that is visible from nowhere else. An agent finds
    it by turning back at the other leaves, and needs to know where it has been.
    """
    folder = tmp_path_factory.mktemp("trees")
    connectivity = folder / "matterport" / "connectivity"
    connectivity.mkdir(parents=True)
    (folder / "r2r").mkdir()
    rng = np.random.default_rng(0)
    keys, views, every = [], [], []
    for number, (split, count) in enumerate(TREES.items()):
        records = []
        for index in range(count):
            scan = f"{'train' if split == 'val_seen' else split}{index}"
            if split != "val_seen":
                every.append(scan)
                goal = int(rng.integers(ARMS * LEAVES))
                write_tree(connectivity, scan, rng.uniform(0, 2 * np.pi))
                keys += [f"{scan}_{name}" for name in tree_names(scan)]
                panoramas = np.zeros((len(tree_names(scan)), 36, 4))
                panoramas[1 + ARMS + goal] = 1.0
                views += list(panoramas)
                goals[scan] = goal
            records.append(tree_record(scan, goals[scan], 1000 * number + index))
        (folder / "r2r" / f"R2R_{split}.json").write_text(json.dumps(records))
    (connectivity / "scans.txt").write_text("\n".join(every) + "\n")
    FeatureStore.write(folder / "features.safetensors", np.stack(views), keys, {"encoder": "marks"})
    return folder


def tree_names(scan):
    """Return the start, then the arms, then the leaves of each arm."""
    leaves = [f"{scan}-l{arm}{leaf}" for arm in range(ARMS) for leaf in range(LEAVES)]
    return [f"{scan}-c", *(f"{scan}-a{arm}" for arm in range(ARMS)), *leaves]


def write_tree(folder, scan, turn):
    names = tree_names(scan)
    places, links = {names[0]: (0.0, 0.0, 1.5)}, set()
    for arm in range(ARMS):
        angle, middle = turn + 2 * np.pi * arm / ARMS, names[1 + arm]
        places[middle] = (4 * np.sin(angle), 4 * np.cos(angle), 1.5)
        links.add((names[0], middle))
        for leaf in range(LEAVES):
            name = names[1 + ARMS + LEAVES * arm + leaf]
            ahead = angle + (2 * leaf - 1) * np.pi / 5
            places[name] = (
                places[middle][0] + 4 * np.sin(ahead),
                places[middle][1] + 4 * np.cos(ahead),
                1.5,
            )
            links.add((middle, name))
    records = connectivity_records({name: places[name] for name in names}, links)
    (folder / f"{scan}_connectivity.json").write_text(json.dumps(records))


def tree_record(scan, goal, path_id):
    names = tree_names(scan)
    return {
        "scan": scan,
        "path_id": path_id,
        "path": [names[0], names[1 + goal // LEAVES], names[1 + ARMS + goal]],
        "heading": 0.0,
        "distance": 8.0,
        "instructions": ["Find the mark.", "Go to the mark.", "Walk to the mark and stop there."],
    }


@pytest.fixture
def tree_settings(trees, doors_run):
    """Settings of all runs in the world of the trees."""
    store = trees / "features.safetensors"
    changes = {"data_dir": trees, "features": store, "max_episode_steps": 60}
    return {**doors_run, **changes}
