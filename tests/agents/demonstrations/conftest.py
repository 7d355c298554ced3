"""Fixtures: tiny worlds with skyboxes whose colours encode directions, and their exports."""

import shutil

import numpy as np
import pytest
from PIL import Image

from clipnav.agents.demonstrations.export import export_demonstrations
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.connectivity import read_connectivity


def write_skyboxes(data_dir, marked_skybox):
    """Write skyboxes of all viewpoints of a world, in the default folder of the scans."""
    connectivity = data_dir / "matterport" / "connectivity"
    faces = Image.fromarray(marked_skybox(np.eye(3), 64))
    for scan in (connectivity / "scans.txt").read_text().split():
        folder = data_dir / "matterport" / "v1" / "scans" / scan / "matterport_skybox_images"
        folder.mkdir(parents=True)
        for record in read_connectivity(scan, connectivity):
            faces.save(folder / f"{record['image_id']}_skybox_small.jpg", quality=97, subsampling=0)


@pytest.fixture(scope="session")
def pictured_world(tiny_world, tmp_path_factory, marked_skybox):
    """Data folder of the tiny world with skyboxes."""
    folder = tmp_path_factory.mktemp("pictured") / "data"
    shutil.copytree(tiny_world, folder)
    write_skyboxes(folder, marked_skybox)
    return folder


@pytest.fixture(scope="session")
def pictured_doors(doors, tmp_path_factory, marked_skybox):
    """Data folder of the world of doors with skyboxes."""
    folder = tmp_path_factory.mktemp("pictured") / "doors"
    shutil.copytree(doors, folder)
    write_skyboxes(folder, marked_skybox)
    return folder


@pytest.fixture
def small_export(pictured_world, tmp_path):
    """Function that returns the settings of a small export in the tiny world."""

    def config(**changes):
        settings = {
            "world": "matterport",
            "data_dir": pictured_world,
            "prompt": PromptConfig(image_size=32),
            "shard_episodes": 3,
            "output": tmp_path / "export",
        }
        return DemonstrationConfig(**(settings | changes))

    return config


@pytest.fixture
def exported(small_export):
    """Function that makes a small export and returns its folder."""

    def export(**changes):
        config = small_export(**changes)
        export_demonstrations(config)
        return config.output

    return export
