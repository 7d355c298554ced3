"""Every benchmark runs with little data and reports its figures."""

import json
import os
import shutil
from typing import NamedTuple

import pytest

from tests.launching import ROOT
from tests.skyboxes import write_skyboxes


class Case(NamedTuple):
    """Arguments of a benchmark, and the names of some of its figures."""

    arguments: str
    figures: tuple[str, ...]


SAMPLE = ("environment", "store", "training")  # the others run in `make test-long`
SMALL_WORLD = "--data-dir {world}"
CASES = {
    "captioning": Case(
        "", ("reward of 60 captions: clipnav", "5 beams, 9 cells: recomputed prefixes")
    ),
    "continuous": Case(
        "--batch-sizes 1",
        ("movement with sliding, batch 1", "environment without pictures, batch 1", "expert"),
    ),
    "encoding": Case(
        "--threads 1", ("house_clip: bf16", "whole extraction of house_00: rendering")
    ),
    "environment": Case(
        f"{SMALL_WORLD} --batch-sizes 8",
        ("features, batch 8, copied", "indices, batch 8, reused"),
    ),
    "topological_maps": Case(
        "", ("baseline", "TopologicalMaps / baseline", "TopologicalMaps with the spl expert")
    ),
    "language_models": Case("", ("decision, words only",)),
    "map_agent": Case("--batch-size 6", ("cloning, all views", "HAMT, cloning")),
    "page_server": Case("", ("request relative to echo", "5 simultaneous connections")),
    "panoramas": Case("", ("1024 x 512", "peak memory")),
    "pictures": Case(
        f"{SMALL_WORLD} --split train",
        ("candidate_rgb, 224 x 224, panoramas on disk", "decoded panoramas in memory"),
    ),
    "scoring": Case("", ("R2R size (60): baseline", "RxR size (60): memory of score_paths")),
    "simulator": Case("", ("turning, discretised, batch 64", "first sweep over 36 views")),
    "speaking": Case(
        SMALL_WORLD, ("speaker step, batch 4", "iteration with back-translation, batch 4")
    ),
    "store": Case("", ("64 viewpoints, store, float16", "64 viewpoints, HDF5 by keys, open file")),
    "training": Case(
        SMALL_WORLD,
        (
            "iteration, batch 4, published setting: multiple of the bound",
            "iteration, batch 2, default setting",
            "instructions evaluated, batch 4",
        ),
    ),
    "vl_pretraining": Case("", ("step, baseline beside fp32", "memory, bf16", "fp32 / baseline")),
}


@pytest.fixture(scope="module")
def world(tiny_world, tmp_path_factory):
    """The small world, with skyboxes."""
    world = shutil.copytree(tiny_world, tmp_path_factory.mktemp("world") / "world")
    write_skyboxes(world / "matterport" / "v1" / "scans")
    return world


def run(name, words, environment, launcher, tmp_path):
    """Run a benchmark with little data and return its figures."""
    path, log = tmp_path / "figures.json", tmp_path / "log.txt"
    words = ["--quick", "--json", str(path), *words]
    process = launcher.start(ROOT / "benchmarks" / f"{name}.py", words, environment, log)
    assert launcher.wait(process) == 0, log.read_text()
    (line,) = (line for line in log.read_text().splitlines() if line.startswith('{"benchmark'))
    result = json.loads(line)
    assert result["benchmark"] == name
    assert json.loads(path.read_text("utf-8")) == result
    assert all(figure["value"] is not None for figure in result["figures"].values())
    return result["figures"]


@pytest.mark.parametrize(
    "name",
    [name if name in SAMPLE else pytest.param(name, marks=pytest.mark.long) for name in CASES],
)
def test_a_benchmark_reports_its_figures(name, world, launcher, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    words = CASES[name].arguments.format(world=world).split()
    environment = {"CLIPNAV_CACHE": tmp_path / "cache"} if name == "pictures" else {}
    assert set(CASES[name].figures) <= run(name, words, environment, launcher, tmp_path).keys()


@pytest.mark.long
@pytest.mark.skipif("CLIPNAV_ENVDROP" not in os.environ, reason="CLIPNAV_ENVDROP is not set")
@pytest.mark.parametrize(
    ("name", "compared"),
    [
        ("environment", ["features, batch 8, copied"]),
        ("training", ["iteration, batch 4, published setting", "instructions evaluated, batch 4"]),
        ("speaking", ["speaker step, batch 4", "iteration with back-translation, batch 4"]),
    ],
)
def test_the_original_files_run_beside_ours(name, compared, shared, launcher, tmp_path):
    words = ["--data-dir", str(shared / "data"), "--original", os.environ["CLIPNAV_ENVDROP"]]
    figures = run(name, words, {}, launcher, tmp_path)
    assert {f"{figure}: multiple of the original" for figure in compared} <= figures.keys()
    if name == "training":
        assert figures["instructions evaluated, batch 4: greedy paths that differ"]["value"] == 0


def test_every_benchmark_is_tested():
    commands = {
        path.stem
        for path in (ROOT / "benchmarks").glob("*.py")
        if "__main__" in path.read_text("utf-8")
    }
    assert commands == CASES.keys()
