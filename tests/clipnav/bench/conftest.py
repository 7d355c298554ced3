"""A suite in the tiny world, and rounds in houses that are built at once."""

import importlib
import json
import sys

import numpy as np
import pytest

from clipnav.bench import rounds
from clipnav.bench.kinds import RunOptions
from clipnav.bench.rounds import read_round
from clipnav.bench.suites import FOLDER, Place, parse_suite
from clipnav.storage.features.store import FeatureStore
from tests.conftest import connectivity_records, r2r_records

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
HONEST = """
from tests.clipnav.bench.agents import two_moves as make
"""


@pytest.fixture
def suite():
    return parse_suite(SUITE, FOLDER)


@pytest.fixture
def place(tiny_world):
    return Place("matterport", tiny_world, tiny_world / "features.safetensors")


def lattice(houses, scan, folder):
    """Navigation of a house of 16 viewpoints, whose edges and paths follow from its seeds."""
    spec = houses.specs[scan]
    rng = np.random.default_rng([spec.plan_seed, spec.style_seed])
    names = [f"{spec.plan_seed % 10_000}_{k}" for k in range(16)]
    at = {name: (4.0 * (k % 4), 4.0 * (k // 4)) for k, name in enumerate(names)}
    pairs = [(k, k + 1) for k in range(16) if k % 4 < 3] + [(k, k + 4) for k in range(12)]
    edges = {(names[i], names[j]) for i, j in pairs}
    near = {k: [j for pair in pairs for j in pair if k in pair and j != k] for k in range(16)}
    paths = []
    while len(paths) < houses.paths["val_unseen"]:
        path = [int(rng.integers(16))]
        while len(path) < 6:
            path.append(int(rng.choice(near[path[-1]])))
        if len(set(path)) == 6:
            paths.append([names[k] for k in path])
    first = 1000 * list(houses.specs).index(scan)
    records = r2r_records(scan, paths, first)
    for record in records:
        said = " then ".join(str(word) for word in rng.integers(10_000, size=3))
        record["instructions"] = [f"{said}, {scan}.", f"From {said}, {scan}."]
    guides = [
        {
            **{name: one[name] for name in ("path_id", "scan", "path", "heading")},
            **{"split": "val_unseen", "instruction_id": one["path_id"], "language": "en-IN"},
            "instruction": one["instructions"][0],
        }
        for one in records[: houses.rxr_paths["val_unseen"]]
    ]
    return {
        "connectivity": connectivity_records(at, edges),
        "val_unseen": records,
        "rxr": {"val_unseen": guides},
    }


def features(houses, world, connectivity, output):
    keys = [
        f"{scan}_{v['image_id']}"
        for scan in houses.specs
        for v in lattice(houses, scan, world)["connectivity"]
    ]
    views = np.random.default_rng(0).standard_normal((len(keys), 36, 8)).astype(np.float16)
    FeatureStore.write(output, views, keys, {"encoder": "test"})


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(rounds, "build_house_of_round", lattice)
    monkeypatch.setattr(rounds, "write_features", features)


@pytest.fixture
def write_agent(tmp_path, monkeypatch):
    """Function that writes an agent as a package of its own; it returns its name for --agent."""
    monkeypatch.syspath_prepend(tmp_path / "site")

    def write(name, code, **files):
        monkeypatch.delitem(sys.modules, name, raising=False)  # of an earlier test
        package = tmp_path / "site" / name
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(code)
        for file, document in files.items():
            (package / f"{file}.json").write_text(json.dumps(document))
        importlib.invalidate_caches()
        return f"{name}:make"

    return write


@pytest.fixture
def play(run_command, tmp_path):
    """Function that plays a round to its end."""

    def run(name, agents):
        folder, secret = tmp_path / name, tmp_path / "secrets" / name
        size = ("--houses", 2, "--paths", 8, "--rxr-paths", 0)
        printed = run_command("bench", "seal", "--round", folder, "--secret", secret, *size)
        assert read_round(folder).commitment in printed
        assert secret.stat().st_mode & 0o077 == 0
        for agent in agents:
            name = agent.partition(":")[0]
            run_command("bench", "register", "--round", folder, "--agent", agent, "--name", name)
        printed = run_command("bench", "open", "--round", folder, "--secret", secret)
        assert secret.read_text().strip() in printed
        assert [path.name for path in folder.iterdir() if path.suffix != ".lock"] == ["round.json"]
        return folder

    return run
