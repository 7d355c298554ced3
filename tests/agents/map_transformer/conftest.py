"""Fixtures: golden data of DUET and the world that it was recorded in."""

import gzip
import json
import os
from functools import cache
from pathlib import Path

import pytest
from safetensors.torch import load_file

from agents.map_transformer.geometry import MapGeometry
from envs.graphs.nav_graph import NavGraph
from envs.graphs.nav_world import NavWorld


@pytest.fixture(scope="session")
def golden(shared):
    """Function that reads a golden file by its name without its ending, such as "duet_teacher".

    The environment variable CLIPNAV_GOLDEN_SYSTEMS names another folder.
    """
    folder = Path(os.environ.get("CLIPNAV_GOLDEN_SYSTEMS", shared / "golden" / "systems"))

    def read(name):
        if name.endswith(".safetensors"):
            return load_file(folder / name)
        if name.endswith(".gz"):
            return json.loads(gzip.decompress((folder / name).read_bytes()))
        return json.loads((folder / name).read_text(encoding="utf-8"))

    if not (folder / "duet_teacher.json").is_file():
        pytest.skip(f"{folder}: golden data of DUET not found")
    return cache(read)


@pytest.fixture(scope="session")
def geometry_of(shared):
    """Function that returns the geometry of real scans."""

    @cache
    def make(*scans):
        folder = shared / "data" / "matterport" / "connectivity"
        return MapGeometry.of(NavWorld([NavGraph.load(scan, folder) for scan in scans]))

    return make
