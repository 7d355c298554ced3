"""MatterSim's frames: agreement with the real simulator, depth, caching and errors."""

import gzip
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clipnav.envs.mattersim import Mat
from clipnav.envs.mattersim.rendering import Renderer

SIZE = 256


@pytest.fixture(scope="module")
def samples(shared: Path) -> dict:
    with gzip.open(shared / "golden" / "render_samples.json.gz") as file:
        return json.load(file)["sets"]


@pytest.fixture(scope="module")
def graphs(shared: Path) -> Path:
    return shared / "data" / "matterport" / "connectivity"


def golden_colours() -> np.ndarray:
    """Faces from which the real simulator rendered the samples, from its golden file."""
    ramp = np.round(255 * np.arange(SIZE) / 255)
    faces = np.empty((SIZE, 6, SIZE, 3), np.uint8)
    faces[..., 0] = ramp
    faces[..., 1] = ramp[:, None, None]
    faces[..., 2] = (20 + 40 * np.arange(6))[:, None]
    return faces.reshape(SIZE, 6 * SIZE, 3)


def golden_depth() -> np.ndarray:
    ramp = np.arange(SIZE) / 255
    faces = 4000 + 8000 * ramp + (4000 * ramp)[:, None, None] + (2000 * np.arange(6))[:, None]
    return faces.reshape(SIZE, 6 * SIZE).astype(np.uint16)


@pytest.fixture(scope="module")
def scans(samples: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of scans with the golden file's skyboxes for every viewpoint of the samples."""
    dataset = tmp_path_factory.mktemp("scans")
    frames = {
        (frame["scanId"], frame["viewpointId"])
        for sample in samples.values()
        for frame in sample["frames"]
    }
    for scan, viewpoint in frames:
        folder = dataset / scan / "matterport_skybox_images"
        folder.mkdir(parents=True, exist_ok=True)
        # PNG data under the name of a JPEG, which is lossless.
        with (folder / f"{viewpoint}_skybox_small.jpg").open("wb") as file:
            Image.fromarray(golden_colours()).save(file, format="PNG")
        Image.fromarray(golden_depth()).save(folder / f"{viewpoint}_skybox_depth_small.png")
    return dataset


def renderer_of(sample: dict, scans: Path, graphs: Path, depth: bool = False) -> Renderer:
    width, height, vfov = sample["width"], sample["height"], sample["vfov"]
    return Renderer(scans, width, height, vfov, depth, False, 10, graphs)


@pytest.mark.parametrize(
    "name",
    [
        "rgb_640x480_vfov60_continuous",
        "rgb_320x240_vfov0.8_continuous",
        "rgb_640x480_vfov60_discretized",
        "rgb_512x512_vfov90_continuous",
    ],
)
def test_colours_equal_the_real_simulator(samples: dict, scans: Path, graphs: Path, name: str):
    sample = samples[name]
    renderer = renderer_of(sample, scans, graphs)
    for frame in sample["frames"]:
        rgb, depth = renderer.render(
            frame["scanId"], frame["viewpointId"], frame["heading"], frame["elevation"]
        )
        assert rgb.shape == (sample["height"], sample["width"], 3)
        seen = rgb[np.ix_(sample["rows"], sample["cols"])].astype(int)
        assert np.abs(seen - np.array(frame["bgr"])).max() <= 1
        assert not depth.any()


def test_depth_matches_the_coarser_depth_of_the_real_simulator(
    samples: dict, scans: Path, graphs: Path
):
    sample = samples["depth_640x480_vfov60_continuous"]
    renderer = renderer_of(sample, scans, graphs, depth=True)
    for frame in sample["frames"]:
        _, depth = renderer.render(
            frame["scanId"], frame["viewpointId"], frame["heading"], frame["elevation"]
        )
        assert depth.dtype == np.uint16
        seen = depth[np.ix_(sample["rows"], sample["cols"])][..., 0].astype(int)
        # The original rounds to multiples of 257 twice, in its texture and in its framebuffer.
        assert np.abs(seen - np.array(frame["depth"])).max() <= 257
        assert len(np.unique(depth)) > 40 * frame["distinct_values_in_frame"]


@pytest.fixture
def attic(tiny_world: Path, tmp_path: Path, marked_skybox) -> Path:
    """Folder of scans with skyboxes of the building `attic` of the tiny world."""
    folder = tmp_path / "attic" / "matterport_skybox_images"
    folder.mkdir(parents=True)
    for i in range(11):
        path = folder / f"a{i}_skybox_small.jpg"
        Image.fromarray(np.maximum(marked_skybox(np.eye(3)), i)).save(path, quality=95)
    return tmp_path


def make(scans: Path, tiny_world: Path, **changes) -> Renderer:
    arguments = {"vfov": 1.0, "depth": False, "preload": False, "cache_size": 2} | changes
    graphs = tiny_world / "matterport" / "connectivity"
    return Renderer(scans, 32, 24, connectivity_dir=graphs, **arguments)


def test_errors_name_the_skybox_that_cannot_be_opened(attic: Path, tiny_world: Path):
    path = attic / "attic" / "matterport_skybox_images" / "a3_skybox_small.jpg"
    path.write_bytes(path.read_bytes()[:800])
    message = r"^MatterSim: Could not open skybox RGB files at: .*a3_skybox_small.jpg"
    with pytest.raises(ValueError, match=message):
        make(attic, tiny_world).render("attic", "a3", 0.0, 0.0)
    with pytest.raises(ValueError, match=message):
        make(attic, tiny_world, preload=True)
    message = r"^MatterSim: Could not open skybox depth files at: .*a4_skybox_depth_small.png"
    with pytest.raises(ValueError, match=message):
        make(attic, tiny_world, depth=True).render("attic", "a4", 0.0, 0.0)


def test_recently_used_skyboxes_are_cached(attic: Path, tiny_world: Path):
    renderer = make(attic, tiny_world)
    frames = {v: renderer.render("attic", v, 0.3, 0.1)[0] for v in ("a0", "a1", "a0", "a2")}
    for path in attic.rglob("*.jpg"):
        path.unlink()
    for viewpoint in ("a0", "a2"):
        again, _ = renderer.render("attic", viewpoint, 0.3, 0.1)
        assert np.array_equal(again, frames[viewpoint])
        assert again is not frames[viewpoint]
    with pytest.raises(ValueError, match="Could not open"):
        renderer.render("attic", "a1", 0.3, 0.1)


@pytest.fixture(scope="module")
def pictured_scans(tmp_path_factory):
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


def with_pictures(simulator, pictured_scans, folder="v1/scans"):
    sim = simulator
    sim.setDatasetPath(str(pictured_scans / folder))
    sim.setRenderingEnabled(True)
    sim.setCameraResolution(40, 30)
    sim.setCameraVFOV(0.9)
    return sim


def test_images_of_states_equal_the_renderer(simulator, pictured_scans, tiny_graphs):
    sim = with_pictures(simulator(batch_size=2, discretized=False), pictured_scans)
    sim.setDepthEnabled(True)
    sim.newEpisode(["attic"] * 2, ["a4", "a5"], [0.3, 2.0], [0.1, -0.2])
    sim.makeAction([0, 0], [0.1, 0.0], [0.0, 0.1])
    renderer = Renderer(pictured_scans / "v1" / "scans", 40, 30, 0.9, True, False, 5, tiny_graphs)
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


def test_images_are_rendered_on_first_access_and_kept(simulator, pictured_scans):
    sim = with_pictures(simulator(), pictured_scans)
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


def test_a_missing_skybox_is_reported_on_access(simulator, pictured_scans):
    sim = with_pictures(simulator(), pictured_scans)
    sim.newEpisode(["attic"], ["a0"], [0], [0])
    (state,) = sim.getState()
    with pytest.raises(ValueError, match=r"Could not open skybox RGB files at: .*a0_skybox"):
        state.rgb.sum()
    assert state.location.viewpointId == "a0"


def test_preloading_reads_all_skyboxes_at_initialisation(simulator, pictured_scans):
    sim = with_pictures(simulator(), pictured_scans)
    sim.setPreloadingEnabled(True)
    with pytest.raises(ValueError, match="Could not open skybox RGB files"):
        sim.initialize()  # only two viewpoints have a skybox
    sim.setPreloadingEnabled(False)
    sim.newEpisode(["attic"], ["a4"], [0], [0])
    assert sim.getState()[0].rgb.any()


def test_version_01_finds_skyboxes_below_its_dataset_folder(
    simulator, old_simulator, pictured_scans
):
    old = with_pictures(old_simulator(), pictured_scans, folder="")
    new = with_pictures(simulator(), pictured_scans)
    old.newEpisode("attic", "a4", 0.6, 0)
    new.newEpisode(["attic"], ["a4"], [0.6], [0])
    state = old.getState()
    np.testing.assert_array_equal(state.rgb, new.getState()[0].rgb)
    old.makeAction(0, 1, 0)
    assert (old.getState().rgb != state.rgb).any()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(state)).rgb, state.rgb)
