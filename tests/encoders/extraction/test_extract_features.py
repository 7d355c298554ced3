"""The command that writes feature stores: worlds, view geometries, shards, damaged files."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file, save_file

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.extraction import command
from clipnav.encoders.extraction.arguments import ExtractArguments
from clipnav.encoders.extraction.view_sources import ViewSource
from clipnav.envs.houses.building.sets import STANDARD
from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
from clipnav.envs.panoramas.panorama import Panorama
from clipnav.envs.worlds import world_files
from clipnav.storage.features.opening import open_store

VIEWPOINTS = [f"attic_a{i}" for i in (0, 1, 2, 3, 4, 5, 6, 7, 8, 10)]  # a9 is excluded


@pytest.fixture(scope="module")
def skyboxes(tmp_path_factory: pytest.TempPathFactory, marked_skybox) -> Path:
    """Folder of scans with a distinct skybox for each viewpoint of "attic"."""
    scans = tmp_path_factory.mktemp("scans")
    folder = scans / "attic" / "matterport_skybox_images"
    folder.mkdir(parents=True)
    for i in range(11):
        faces = np.maximum(marked_skybox(np.eye(3)), 10 * i)
        Image.fromarray(faces).save(folder / f"a{i}_skybox_small.jpg", quality=95)
    return scans


@pytest.fixture
def extract(tiny_world: Path, tiny_resnet: Path, skyboxes: Path):
    """Run the command on "attic" with a tiny CLIP and changed arguments."""

    def run(output: Path | None, **changes) -> Path | None:
        arguments = {
            "world": "matterport",
            "data_dir": tiny_world,
            "scan_dir": skyboxes,
            "encoder": (str(tiny_resnet),),
            "precision": "fp32",
            "scans": ("attic",),
        }
        command.main(ExtractArguments(output, **(arguments | changes)))
        return output

    return run


@pytest.fixture(scope="module")
def encoder(tiny_resnet: Path) -> ClipEncoder:
    return ClipEncoder.load(str(tiny_resnet), precision="fp32")


def source_views(skyboxes: Path, tiny_world: Path, viewpoint: str, size) -> np.ndarray:
    from clipnav.envs.panoramas.matterport_panoramas import MatterportPanoramas

    graphs = tiny_world / "matterport" / "connectivity"
    return MatterportPanoramas(skyboxes, graphs).views36("attic", viewpoint, size)


def test_rows_are_the_features_of_the_views_in_their_order(
    extract, encoder: ClipEncoder, skyboxes: Path, tiny_world: Path, tmp_path: Path
):
    store = open_store(extract(tmp_path / "store.safetensors"))
    assert store.keys == VIEWPOINTS
    assert store.metadata["world"] == "matterport"
    assert store.metadata["vfov_degrees"] == 60
    assert "channel_order" not in store.metadata
    expected = encoder.pooled(source_views(skyboxes, tiny_world, "a4", encoder.image_size))
    np.testing.assert_array_equal(store.views[4], expected.astype(np.float16))


def test_clip_vil_rows_are_the_features_of_bgr_frames_in_clips_preprocessing(
    extract, encoder: ClipEncoder, skyboxes: Path, tiny_world: Path, tmp_path: Path
):
    extract(tmp_path / "store.safetensors", views="clip_vil", shard="4/10")
    store = open_store(tmp_path / "store-00004-of-00010.safetensors")
    assert store.keys == ["attic_a4"]
    assert store.metadata["view_geometry"] == "clip_vil"
    assert store.metadata["channel_order"] == "BGR"
    frames = source_views(skyboxes, tiny_world, "a4", (480, 640))
    # The encoder resizes and crops images of another size, as CLIP does.
    expected = encoder.pooled(frames[::9, ..., ::-1])
    np.testing.assert_allclose(store.take(np.array([0]))[0, ::9], expected, rtol=2e-3, atol=1e-3)


def test_shards_and_workers_do_not_change_the_bytes(extract, tmp_path: Path):
    whole = extract(tmp_path / "whole.safetensors", workers=1)
    output = tmp_path / "store.safetensors"
    for shard in ("0/3", "1/3", "2/3"):
        extract(output, shard=shard)
    parts = sorted(tmp_path.glob("store-*"))
    assert len(parts) == 3
    extract(output, merge=True)
    assert output.read_bytes() == whole.read_bytes()


def test_a_damaged_skybox_is_named_and_skipped_only_on_request(
    extract, skyboxes: Path, tmp_path: Path, capsys, caplog
):
    path = skyboxes / "attic" / "matterport_skybox_images" / "a5_skybox_small.jpg"
    content = path.read_bytes()
    path.write_bytes(content[:900])
    output = tmp_path / "store.safetensors"
    try:
        with pytest.raises(ValueError, match=r"a5_skybox_small\.jpg: damaged"):
            extract(output)
        assert not output.exists()
        extract(output, skip_damaged=True)
    finally:
        path.write_bytes(content)
    assert "a5_skybox_small.jpg: damaged" in caplog.text
    assert "1 damaged viewpoints skipped: attic_a5" in capsys.readouterr().out
    store = open_store(output)
    assert store.keys == [key for key in VIEWPOINTS if key != "attic_a5"]
    assert store.metadata["skipped_viewpoints"] == ["attic_a5"]


def test_habitat_renders_in_a_process_of_its_own(
    extract, encoder: ClipEncoder, tmp_path: Path, habitat_python: Path
):
    (tmp_path / "barn.glb").touch()
    output = extract(
        tmp_path / "store.safetensors",
        world="habitat",
        scan_dir=tmp_path,
        scans=("barn",),
        workers=1,
        gpu_device_id=-1,
    )
    store = open_store(output)
    assert store.keys == [f"barn_b{i}" for i in range(6)]
    assert store.metadata["world"] == "habitat"
    # The fake scene depends on the direction only, so viewpoints are equal and views are not.
    np.testing.assert_array_equal(store.views[0], store.views[5])
    assert len(np.unique(store.views[0], axis=0)) == 36


def test_encoders_share_views_and_a_finished_store_is_kept(
    extract, tiny_resnet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    other = tmp_path / "other"
    shutil.copytree(tiny_resnet, other)
    weights = load_file(other / "open_clip_model.safetensors")
    weights["visual.conv1.weight"] *= 2
    save_file(weights, other / "open_clip_model.safetensors")
    alone = extract(tmp_path / "alone.safetensors", encoder=(str(other),))
    loaded: list[str] = []
    load = ViewSource.load
    monkeypatch.setattr(
        ViewSource, "load", lambda self, where: loaded.append(where[1]) or load(self, where)
    )
    folder = tmp_path / "stores"
    extract(None, output_dir=folder)
    both = (str(tiny_resnet), str(other))
    extract(None, output_dir=folder, encoder=both)
    assert sorted(loaded) == sorted(2 * [key.removeprefix("attic_") for key in VIEWPOINTS])
    extract(None, output_dir=folder, encoder=both)
    assert len(loaded) == 20
    assert (folder / "other.safetensors").read_bytes() == alone.read_bytes()
    assert (folder / "tiny.safetensors").read_bytes() != alone.read_bytes()


def test_the_store_of_the_large_set_is_the_default_of_its_environments(
    extract,
    tiny_world: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path))
    arguments = {
        "world": "houses-standard",
        "data_dir": None,
        "scan_dir": None,
        "scans": (),
        "panorama_width": 64,
        "workers": 1,
    }
    with pytest.raises(FileNotFoundError, match=r"clipnav build-houses --set standard"):
        extract(None, **arguments)
    graphs = STANDARD.connectivity_dir
    graphs.mkdir(parents=True)
    graph = (tiny_world / "matterport" / "connectivity" / "barn_connectivity.json").read_bytes()
    (graphs / "standard_00_connectivity.json").write_bytes(graph)
    (graphs / "scans.txt").write_text("standard_00\n")
    houses: list[tuple[str, str]] = []

    def noise(self, scan: str, viewpoint: str, rows: slice) -> Panorama:
        houses.append((scan, viewpoint))
        rgb = np.random.default_rng(len(houses)).integers(0, 256, (32, 64, 3)).astype(np.uint8)
        return Panorama(rgb, np.ones((32, 64), np.float32), np.zeros((32, 64), np.int32))

    monkeypatch.setattr(HousePanoramas, "panorama", noise)
    monkeypatch.setattr(ViewSource, "pool", lambda self, workers: ThreadPoolExecutor(workers))
    extract(None, **arguments)
    store = world_files("houses-standard").open_features(None)
    assert store is not None
    assert store.keys == [f"standard_00_b{i}" for i in range(6)]
    assert houses == [("standard_00", f"b{i}") for i in range(6)]
    assert store.metadata["world"] == "houses-standard"
    assert store.metadata["panorama_width"] == 64


def test_random_weights_must_be_requested_and_are_recorded(
    extract, tiny_resnet: Path, tmp_path: Path
):
    with pytest.raises(ValueError, match=r"ViT-B-32 has no weights of its own; .*--pretrained\)$"):
        extract(tmp_path / "none.safetensors", encoder=("ViT-B-32",))
    assert not list(tmp_path.iterdir())
    extract(None, output_dir=tmp_path, random_weights=True)
    store = open_store(tmp_path / f"{tiny_resnet.name}-random.safetensors")
    assert store.metadata["encoder"] == f"{tiny_resnet.name}/random"
    # The weights are the same in every run and on every machine.
    extract(tmp_path / "again.safetensors", random_weights=True)
    again = open_store(tmp_path / "again.safetensors")
    assert again.metadata["weights_sha256"] == store.metadata["weights_sha256"]
    np.testing.assert_array_equal(again.views, store.views)
    with pytest.raises(ValueError, match="exclude each other"):
        extract(tmp_path / "both.safetensors", random_weights=True, pretrained=("openai",))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data_dir": Path("data")}, "--data-dir data has no effect with --world houses"),
        ({"scan_dir": Path("a")}, "--scan-dir a has no effect with --world houses"),
        ({"skip_damaged": True}, "--skip-damaged has no effect with --world houses"),
        ({"gpu_device_id": 1}, "--gpu-device-id 1 has no effect with --world houses"),
        (
            {"world": "matterport", "panorama_width": 64},
            "--panorama-width 64 has no effect with --world matterport",
        ),
        ({"world": "habitat", "full_faces": True}, "--full-faces has no effect with --world habit"),
        ({"merge": True, "shard": "0/2"}, "--shard 0/2 has no effect with --merge"),
    ],
)
def test_flags_without_effect_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ExtractArguments(Path("store.safetensors"), **settings)
