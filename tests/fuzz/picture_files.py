"""Samples of images, skyboxes and houses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from samples import Sample, write_json


def _picture(folder: Path, name: str, **options: Any) -> Sample:
    from PIL import Image

    from clipnav.vl_tasks.data.images import read_image

    path = folder / name
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, **options)
    return path, lambda: read_image(path)


def picture_jpeg(folder: Path) -> Sample:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by 90 degrees
    return _picture(folder, "picture.jpg", exif=exif)


def picture_jpeg_progressive(folder: Path) -> Sample:
    return _picture(folder, "picture.jpeg", progressive=True, optimize=True)


def picture_png(folder: Path) -> Sample:
    return _picture(folder, "picture.png")


def skybox(folder: Path) -> Sample:
    from PIL import Image

    from clipnav.envs.panoramas.skyboxes import read_skybox, skybox_dir

    directory = skybox_dir(folder, "attic")
    directory.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (16, 96, 3), dtype=np.uint8)
    path = directory / "a0_skybox_small.jpg"
    Image.fromarray(noise).save(path)
    return path, lambda: read_skybox(folder, "attic", "a0")


def skybox_depth(folder: Path) -> Sample:
    from PIL import Image

    from clipnav.envs.panoramas.skyboxes import depth_file, read_depth

    path = depth_file(folder, "attic", "a0")
    path.parent.mkdir(parents=True)
    Image.fromarray(np.arange(16 * 96, dtype=np.uint16).reshape(16, 96)).save(path)
    return path, lambda: read_depth(folder, "attic", "a0")


def _house(folder: Path) -> Callable[[], object]:
    from clipnav.envs.houses.building.house import House, HouseSpec, load_house, plan_of, save_house
    from clipnav.envs.models.scene import ObjectInfo, Scene

    rng = np.random.default_rng(0)
    objects = tuple(
        ObjectInfo(i, "sofa", "red", "", 0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)) for i in range(2)
    )
    scene = Scene(
        positions=rng.random((6, 3), np.float32),
        normals=np.tile(np.array([0, 0, 1], np.float32), (6, 1)),
        uvs=rng.random((6, 2), np.float32),
        colours=rng.random((6, 3), np.float32),
        faces=np.arange(6, dtype=np.int32).reshape(2, 3),
        face_object=np.array([0, 1], np.int32),
        face_texture=np.array([0, 1], np.int32),
        textures=tuple(rng.integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)),
        texture_names=("cloth", "wood"),
        objects=objects,
    )
    spec = HouseSpec("attic", 3, 4)
    save_house(House(spec, plan_of(spec), scene), folder)
    return lambda: load_house("attic", folder)


def house_glb(folder: Path) -> Sample:
    return folder / "attic.glb", _house(folder)


def house_side_file(folder: Path) -> Sample:
    return folder / "attic.json", _house(folder)


def _house_pictures(folder: Path, name: str) -> Sample:
    from clipnav.envs.houses.rendering.training_panoramas import DESCRIPTION, read_pictures

    pictures = folder / "attic-16-0"
    pictures.mkdir()
    np.save(pictures / "rgb.npy", np.zeros((2, 8, 16, 3), np.uint8))
    np.save(pictures / "object_id.npy", np.zeros((2, 8, 16), np.int16))
    np.save(pictures / "depth.npy", np.zeros((2, 8, 16), np.float16))
    description = {"scan": "attic", "viewpoints": 1, "objects": [], "room_kinds": ["hall"]}
    write_json(pictures / DESCRIPTION, description)
    return pictures / name, lambda: read_pictures(pictures)


def house_pictures(folder: Path) -> Sample:
    return _house_pictures(folder, "rgb.npy")


def house_pictures_description(folder: Path) -> Sample:
    return _house_pictures(folder, "house.json")
