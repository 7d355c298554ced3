"""Houses as GLB files: the round trip, the format, and damaged files."""

import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image

from clipnav.envs.houses.meshes.geometry import Material, box, quad
from clipnav.envs.houses.shell.assembly import scene_of_fixtures
from clipnav.envs.houses.shell.fixture import Fixture
from clipnav.envs.models.glb import read_glb, write_glb
from clipnav.envs.models.scene import Scene
from clipnav.storage.errors import UserError

TEXTURES = {
    "wood": np.indices((32, 64, 3)).sum(axis=0).astype(np.uint8),
    "plain": np.full((4, 4, 3), 255, np.uint8),
}


@pytest.fixture
def scene() -> Scene:
    table = box((1, 2, 0.1), Material("wood", (0.2, 0.4, 0.6)), center=(1, 2, 0.7))
    legs = box((0.1, 0.1, 0.7), Material("plain"), center=(1, 2, 0.35))
    floor = quad((0, 0, 0), (4, 0, 0), (0, 5, 0), Material("wood"))
    return scene_of_fixtures(
        [Fixture("table", 3, (table, legs), "blue"), Fixture("floor", 3, (floor,))], TEXTURES
    )


def test_round_trip_keeps_everything(scene: Scene, tmp_path: Path):
    write_glb(scene, tmp_path / "house.glb")
    again = read_glb(tmp_path / "house.glb", scene.objects)
    assert again.texture_names == scene.texture_names
    for kept, texture in zip(again.textures, scene.textures, strict=True):
        assert np.abs(kept.astype(int) - texture).mean() < 8  # JPEG
    for field in ("positions", "normals", "faces", "face_object", "face_texture"):
        assert np.array_equal(getattr(again, field), getattr(scene, field)), field
        assert getattr(again, field).dtype == getattr(scene, field).dtype, field
    assert again.uvs == pytest.approx(scene.uvs, abs=1e-6)
    assert again.colours == pytest.approx(scene.colours, abs=0.5 / 255 + 1e-6)


def test_file_is_unlit_y_up_gltf_with_colours(scene: Scene, tmp_path: Path):
    write_glb(scene, tmp_path / "house.glb")
    content = (tmp_path / "house.glb").read_bytes()
    magic, version, total = struct.unpack("<4sII", content[:12])
    assert (magic, version, total) == (b"glTF", 2, len(content))
    tree = json.loads(content[20 : 20 + struct.unpack("<I", content[12:16])[0]])
    assert tree["extensionsUsed"] == ["KHR_materials_unlit"]
    assert all("KHR_materials_unlit" in material["extensions"] for material in tree["materials"])
    primitives = [mesh["primitives"][0] for mesh in tree["meshes"]]
    assert len(primitives) == 3
    assert all({"COLOR_0", "TEXCOORD_0", "NORMAL"} <= set(p["attributes"]) for p in primitives)
    assert {mesh["extras"]["category"] for mesh in tree["meshes"]} == {"table", "floor"}
    heights = [
        tree["accessors"][p["attributes"]["POSITION"]]["max"][1]
        for p, mesh in zip(primitives, tree["meshes"], strict=True)
        if mesh["extras"]["category"] == "table"
    ]
    assert max(heights) == pytest.approx(0.75)


def test_no_partial_file_is_left(scene: Scene, tmp_path: Path):
    write_glb(scene, tmp_path / "house.glb")
    assert [path.name for path in tmp_path.iterdir()] == ["house.glb"]


@pytest.mark.parametrize("keep", [0, 30, 400])
def test_damaged_file_is_named_with_the_remedy(scene: Scene, tmp_path: Path, keep: int):
    path = tmp_path / "house.glb"
    write_glb(scene, path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(UserError, match=r"house\.glb.*delete it"):
        read_glb(path, scene.objects)


@pytest.mark.parametrize("piece", [b"\xff\xd8\xff", b'"asset"'])
def test_flipped_bytes_are_damage_too(scene: Scene, tmp_path: Path, piece: bytes):
    path = tmp_path / "house.glb"
    write_glb(scene, path)
    path.write_bytes(path.read_bytes().replace(piece, b"\xff" * len(piece)))
    with pytest.raises(UserError, match=r"house\.glb.*delete it"):
        read_glb(path, scene.objects)


def rewritten(path: Path, change: Callable[[dict], None]) -> None:
    """Change the JSON part of a GLB file; keep its binary part."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[12:16], "little")
    tree = json.loads(raw[20 : 20 + length])
    change(tree)
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    body = len(text).to_bytes(4, "little") + b"JSON" + text + raw[20 + length :]
    path.write_bytes(raw[:8] + (12 + len(body)).to_bytes(4, "little") + body)


@pytest.mark.parametrize(
    "change",
    [
        lambda tree: tree["accessors"][0].update(count=10**12),
        lambda tree: tree["bufferViews"][0].update(byteLength=-5),
        lambda tree: tree["bufferViews"][0].update(byteStride=1 << 40),
        # Corner indices read from another buffer view.
        lambda tree: tree["accessors"][0].update(bufferView=1),
        lambda tree: tree["meshes"][0].update(name="-1|cloth"),
    ],
)
def test_inconsistent_json_of_a_glb_is_damage_too(scene: Scene, tmp_path: Path, change):
    path = tmp_path / "house.glb"
    write_glb(scene, path)
    rewritten(path, change)
    with pytest.raises(UserError, match=r"house\.glb: not a readable house"):
        read_glb(path, scene.objects)


def test_glb_of_another_version_is_refused(scene: Scene, tmp_path: Path):
    path = tmp_path / "house.glb"
    write_glb(scene, path)
    raw = path.read_bytes()
    path.write_bytes(raw[:4] + (3).to_bytes(4, "little") + raw[8:])
    with pytest.raises(UserError, match=r"house\.glb: not a readable house \(only GLTF 2"):
        read_glb(path, scene.objects)


def specular(tree: dict) -> None:
    """Let all materials use an extension whose textures trimesh decodes."""
    extension = {"diffuseTexture": {"index": 0}, "glossinessFactor": 0.5}
    for material in tree["materials"]:
        material["extensions"] = {"KHR_materials_pbrSpecularGlossiness": extension}


@pytest.mark.parametrize("change", [lambda tree: None, specular])
def test_textures_of_other_formats_are_not_decoded(
    scene: Scene, tmp_path: Path, change, monkeypatch: pytest.MonkeyPatch
):
    """Pillow decodes an EPS file with Ghostscript."""
    decoded = []
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *arguments: decoded.append(1))
    eps = io.BytesIO()
    Image.new("RGB", (2, 2)).save(eps, "EPS")
    path = tmp_path / "house.glb"
    write_glb(scene, path)
    raw = path.read_bytes()

    def append_texture(tree: dict) -> None:
        tree["bufferViews"].append(
            {"buffer": 0, "byteOffset": tree["buffers"][0]["byteLength"], "byteLength": size}
        )
        for image in tree["images"]:
            image["bufferView"] = len(tree["bufferViews"]) - 1
        change(tree)

    start = 20 + int.from_bytes(raw[12:16], "little")
    content = eps.getvalue() + b" " * (-len(eps.getvalue()) % 4)
    size = len(content)
    binary = raw[start + 8 :] + content
    path.write_bytes(raw[:start] + len(binary).to_bytes(4, "little") + b"BIN\0" + binary)
    rewritten(path, append_texture)
    with pytest.raises(UserError, match=r"house\.glb: not a readable house"):
        read_glb(path, scene.objects)
    assert not decoded
