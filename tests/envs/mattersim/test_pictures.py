"""Images of states: when they are rendered, by which camera, and with which contents."""

import pickle

import numpy as np
import pytest
from PIL import Image

from clipnav.envs.mattersim import Mat
from clipnav.envs.mattersim.rendering import Renderer


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Dataset folder with a small skybox of noise for two viewpoints of `attic`, with depth."""
    dataset = tmp_path_factory.mktemp("data")
    folder = dataset / "v1" / "scans" / "attic" / "matterport_skybox_images"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(3)
    for viewpoint in ("a4", "a5"):
        colours = rng.integers(0, 256, (16, 96, 3), np.uint8)
        Image.fromarray(colours).save(folder / f"{viewpoint}_skybox_small.jpg", quality=95)
        depth = rng.integers(1000, 40000, (16, 96)).astype(np.uint16)
        Image.fromarray(depth).save(folder / f"{viewpoint}_skybox_depth_small.png")
    return dataset


def with_pictures(simulator, scans, folder="v1/scans"):
    sim = simulator
    sim.setDatasetPath(str(scans / folder))
    sim.setRenderingEnabled(True)
    sim.setCameraResolution(40, 30)
    sim.setCameraVFOV(0.9)
    return sim


def test_images_of_states_equal_the_renderer(simulator, scans, tiny_graphs):
    sim = with_pictures(simulator(batch_size=2, discretized=False), scans)
    sim.setDepthEnabled(True)
    sim.newEpisode(["attic"] * 2, ["a4", "a5"], [0.3, 2.0], [0.1, -0.2])
    sim.makeAction([0, 0], [0.1, 0.0], [0.0, 0.1])
    renderer = Renderer(scans / "v1" / "scans", 40, 30, 0.9, True, False, 5, tiny_graphs)
    for state in sim.getState():
        rgb, depth = renderer.render(
            "attic", state.location.viewpointId, state.heading, state.elevation
        )
        assert isinstance(state.rgb, Mat)
        np.testing.assert_array_equal(np.array(state.rgb, copy=False), rgb)
        np.testing.assert_array_equal(np.array(state.depth, copy=False), depth)
        assert memoryview(state.rgb).shape == (30, 40, 3)
        assert memoryview(state.depth).format == "H"
        assert not memoryview(state.rgb).readonly
    assert "Rendered 2 frames" in sim.timingInfo()


def test_images_are_rendered_on_first_access_and_kept(simulator, scans):
    sim = with_pictures(simulator(), scans)
    sim.newEpisode(["attic"], ["a4"], [0], [0])
    for _ in range(5):
        sim.makeAction([0], [1], [0])
    (state,) = sim.getState()
    before = state.rgb
    assert state.rgb is before
    assert "Rendered 1 frames" in sim.timingInfo()
    kept = before.copy()
    sim.makeAction([0], [1], [0])
    assert (state.rgb != before).any()
    np.testing.assert_array_equal(before, kept)
    assert not state.depth.any()
    sim.resetTimers()
    assert "Rendered 0 frames" in sim.timingInfo()


def test_a_pickled_state_contains_its_images(simulator, scans):
    sim = with_pictures(simulator(), scans)
    sim.newEpisode(["attic"], ["a4"], [0], [0])
    (state,) = sim.getState()
    copy = pickle.loads(pickle.dumps(state))
    sim.makeAction([0], [1], [0])
    before = copy.rgb
    sim.makeAction([0], [-1], [0])
    np.testing.assert_array_equal(before, state.rgb)
    again = pickle.loads(pickle.dumps(copy))
    np.testing.assert_array_equal(again.rgb, before)


def test_a_missing_skybox_is_reported_on_access(simulator, scans):
    sim = with_pictures(simulator(), scans)
    sim.newEpisode(["attic"], ["a0"], [0], [0])
    (state,) = sim.getState()
    with pytest.raises(ValueError, match=r"Could not open skybox RGB files at: .*a0_skybox"):
        state.rgb.sum()
    assert state.location.viewpointId == "a0"


def test_preloading_reads_all_skyboxes_at_initialisation(simulator, scans):
    sim = with_pictures(simulator(), scans)
    sim.setPreloadingEnabled(True)
    with pytest.raises(ValueError, match="Could not open skybox RGB files"):
        sim.initialize()  # only two viewpoints have a skybox
    sim.setPreloadingEnabled(False)
    sim.newEpisode(["attic"], ["a4"], [0], [0])
    assert sim.getState()[0].rgb.any()


def test_version_01_finds_skyboxes_below_its_dataset_folder(simulator, old_simulator, scans):
    old = with_pictures(old_simulator(), scans, folder="")
    new = with_pictures(simulator(), scans)
    old.newEpisode("attic", "a4", 0.6, 0)
    new.newEpisode(["attic"], ["a4"], [0.6], [0])
    state = old.getState()
    np.testing.assert_array_equal(state.rgb, new.getState()[0].rgb)
    old.makeAction(0, 1, 0)
    assert (old.getState().rgb != state.rgb).any()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(state)).rgb, state.rgb)
