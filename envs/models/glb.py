"""Scenes as GLB files (glTF 2.0, y up, unlit) with the baked light in the vertex colours.

A file has one mesh per object and texture, named `<object index>|<texture>`. Objects are described
in the extras of the meshes and, for `read_glb`, in the side file of the house.
"""

from __future__ import annotations

import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from clipnav.envs.models.scene import ObjectInfo, Scene
from clipnav.envs.panoramas.ray_tracer import GLASS_TEXTURE
from clipnav.storage import atomic_write
from clipnav.storage.bounds import check_expansion, check_pixels
from clipnav.storage.errors import UserError, truncate

if TYPE_CHECKING:
    import trimesh

_GLASS = [255, 255, 255, 70]  # RGBA of transparent panes
_MOST_ITEM = 64  # bytes of an item of an accessor, a matrix of 4 x 4 numbers
_UNLIT = "KHR_materials_unlit"
# Exceptions that trimesh and Pillow raise on damaged bytes.
_DAMAGE = (
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    OSError,
    AssertionError,
    ArithmeticError,
    MemoryError,
    RuntimeError,
    struct.error,
    Image.DecompressionBombError,
)


def write_glb(scene: Scene, path: Path) -> None:
    """Write a scene with JPEG textures atomically."""
    import trimesh
    from trimesh.exchange.gltf import export_glb

    world = trimesh.Scene()
    materials = [_material(*pair) for pair in zip(scene.texture_names, scene.textures, strict=True)]
    for faces in _runs(scene):
        owner = scene.objects[scene.face_object[faces.start]]
        texture = scene.face_texture[faces.start]
        mesh = _mesh(scene, faces, materials[texture])
        mesh.metadata.update(category=owner.category, colour=owner.colour, room=owner.room)
        name = f"{owner.index:04d}|{scene.texture_names[texture]}"
        world.add_geometry(mesh, node_name=name, geom_name=name)
    content = export_glb(
        world, include_normals=True, unitize_normals=False, tree_postprocessor=_make_unlit
    )
    with atomic_write(path) as beside:
        beside.write_bytes(content)


def read_glb(path: Path, objects: tuple[ObjectInfo, ...]) -> Scene:
    """Read a file that `write_glb` wrote."""
    import trimesh

    raw = path.read_bytes()
    try:
        # trimesh must decode no texture of the file: an EPS file would start Ghostscript.
        length = int.from_bytes(raw[12:16], "little")
        tree = json.loads(raw[20 : 20 + length].decode())
        check_expansion(_MOST_ITEM * sum(one["count"] for one in tree["accessors"]), len(raw))
        for material in tree["materials"]:
            if unknown := sorted(set(material.get("extensions", ())) - {_UNLIT}):
                raise UserError(f"its materials use {truncate(', '.join(unknown))}")
        loaded = trimesh.load_scene(io.BytesIO(raw), file_type="glb", process=False)
        meshes = {_parse_name(name): mesh for name, mesh in loaded.geometry.items()}
        names = tuple(sorted({texture for _, texture in meshes}))
        images = {
            texture: mesh.visual.material.baseColorTexture for (_, texture), mesh in meshes.items()
        }
        for name in names:
            if images[name].format not in ("PNG", "JPEG"):
                raise UserError(f"texture {truncate(name)!r} is neither PNG nor JPEG")
            check_pixels(*images[name].size)
        textures = tuple(np.array(images[name].convert("RGB")) for name in names)
        return _join(meshes, names, textures, objects)
    except _DAMAGE as error:
        raise UserError(
            f"{path}: not a readable house ({truncate(str(error) or repr(error), 200)}); delete "
            "it, and it is built again"
        ) from error


def _runs(scene: Scene) -> Iterator[slice]:
    """Yield runs of faces that share one object and one texture."""
    key = scene.face_object.astype(np.int64) * len(scene.textures) + scene.face_texture
    starts = np.flatnonzero(np.diff(key, prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(key)], strict=True):
        yield slice(int(start), int(stop))


def _mesh(scene: Scene, faces: slice, material: Any) -> trimesh.Trimesh:
    import trimesh
    from trimesh.visual import TextureVisuals

    used, corners = np.unique(scene.faces[faces], return_inverse=True)
    uv = scene.uvs[used].astype(float)
    uv[:, 1] = 1 - uv[:, 1]  # trimesh counts v upwards
    visual = TextureVisuals(uv=uv, material=material)
    colours = np.full((len(used), 4), 255, np.uint8)
    colours[:, :3] = np.rint(scene.colours[used] * 255)
    visual.vertex_attributes["color"] = colours
    return trimesh.Trimesh(
        _y_up(scene.positions[used]),
        corners.reshape(-1, 3),
        vertex_normals=_y_up(scene.normals[used]),
        visual=visual,
        process=False,
    )


def _material(name: str, texture: np.ndarray) -> Any:
    from trimesh.visual.material import PBRMaterial

    # trimesh writes an image in the format in which it was read.
    encoded = io.BytesIO()
    Image.fromarray(texture).save(encoded, "JPEG", quality=95, subsampling=0)
    image = Image.open(encoded)
    clear = {"alphaMode": "BLEND", "baseColorFactor": _GLASS} if name == GLASS_TEXTURE else {}
    return PBRMaterial(
        name=name,
        **clear,
        baseColorTexture=image,
        metallicFactor=0.0,
        roughnessFactor=1.0,
    )


def _make_unlit(tree: dict[str, Any]) -> None:
    tree["extensionsUsed"] = sorted({*tree.get("extensionsUsed", ()), _UNLIT})
    for material in tree["materials"]:
        material.setdefault("extensions", {})[_UNLIT] = {}


def _join(
    meshes: dict[tuple[int, str], Any],
    names: tuple[str, ...],
    textures: tuple[np.ndarray, ...],
    objects: tuple[ObjectInfo, ...],
) -> Scene:
    columns: dict[str, list[np.ndarray]] = {}
    vertices = 0
    for (index, texture), mesh in sorted(meshes.items()):
        uv = np.array(mesh.visual.uv, float)
        uv[:, 1] = 1 - uv[:, 1]
        count = len(mesh.faces)
        block = {
            "positions": _z_up(mesh.vertices),
            "normals": _z_up(mesh.vertex_normals),
            "uvs": uv.astype(np.float32),
            "colours": (mesh.visual.vertex_attributes["color"][:, :3] / 255).astype(np.float32),
            "faces": (mesh.faces + vertices).astype(np.int32),
            "face_object": np.full(count, objects[index].index, np.int32),
            "face_texture": np.full(count, names.index(texture), np.int32),
        }
        _check_mesh(len(mesh.vertices), mesh.faces, block)
        for key, values in block.items():
            columns.setdefault(key, []).append(values)
        vertices += len(mesh.vertices)
    arrays = {key: np.concatenate(blocks) for key, blocks in columns.items()}
    return Scene(**arrays, textures=textures, texture_names=names, objects=objects)


def _check_mesh(vertices: int, faces: np.ndarray, block: dict[str, np.ndarray]) -> None:
    """Check that a mesh is consistent: Embree would read out of bounds if a face index did."""
    if faces.size and not 0 <= faces.min() <= faces.max() < vertices:
        raise UserError("a face refers to a missing vertex")
    for key in ("positions", "normals", "uvs", "colours"):
        if len(block[key]) != vertices or not np.isfinite(block[key]).all():
            raise UserError(f"the number of finite {key} differs from the number of vertices")


def _parse_name(name: str) -> tuple[int, str]:
    index, texture = name.split("|")
    if not index.isdecimal():
        raise UserError(f"the name of mesh {truncate(name)!r} has no object index")
    return int(index), texture


def _y_up(vectors: np.ndarray) -> np.ndarray:
    return vectors[:, [0, 2, 1]].astype(float) * (1, 1, -1)


def _z_up(vectors: np.ndarray) -> np.ndarray:
    return (np.asarray(vectors)[:, [0, 2, 1]] * (1, -1, 1)).astype(np.float32)
