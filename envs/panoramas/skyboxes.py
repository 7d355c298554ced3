"""Reading Matterport's skyboxes: six images of 90 degrees around each viewpoint, and depth.

For each viewpoint, `<dataset>/<scan>/matterport_skybox_images/` contains either one file with all
six faces, which the downsizing script of the Matterport3D Simulator writes and its version 0.2
reads, or one file per face, as published with Matterport3D and read by version 0.1. Face 0 is up,
faces 1 to 4 follow each other to the right, face 5 is down.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from clipnav.connectivity import read_connectivity
from clipnav.envs.panoramas.cube_maps import FACES
from clipnav.storage.errors import UserError
from clipnav.storage.pictures import PictureError, load_picture

# Depth images are in quarters of a millimetre, see README.md of the Matterport3D Simulator.
METRES_PER_DEPTH_UNIT = 0.00025

_MERGED = "{viewpoint}_skybox_small.jpg"
_SINGLE = ("{viewpoint}_skybox{face}_small.jpg", "{viewpoint}_skybox{face}_sami.jpg")
_DEPTH = "{viewpoint}_skybox_depth_small.png"


class DamagedSkyboxError(UserError):
    """A file of a skybox exists but cannot be used.

    Attributes:
        path: The file.
    """

    def __init__(self, path: Path, problem: str):
        super().__init__(
            f"{path}: damaged skybox ({problem}); download or downsize it again, or skip the "
            "viewpoint if the command allows that"
        )
        self.path = path


def skybox_axes(scan: str, connectivity_dir: Path | None = None) -> dict[str, np.ndarray]:
    """Return the matrices from directions in a building to the cube map of each viewpoint.

    They include a point reflection: MatterSim renders the opposite direction and flips the image
    vertically (`renderScene` of MatterSim.cpp).

    Returns:
        (3, 3) matrices by viewpoint, which multiply directions from the left; the result is in the
        axes of `clipnav.envs.panoramas.cube_maps`.
    """
    return {
        record["image_id"]: -np.reshape(record["pose"], (4, 4))[:3, :3].T
        for record in read_connectivity(scan, connectivity_dir)
    }


def skybox_dir(dataset: Path, scan: str) -> Path:
    """Return the folder of the skyboxes of a scan."""
    return Path(dataset) / scan / "matterport_skybox_images"


def skybox_files(dataset: Path, scan: str, viewpoint: str, full: bool = False) -> list[Path]:
    """Return the files of a viewpoint's colours: one file with six faces, or six files."""
    folder = skybox_dir(dataset, scan)
    choices = [[folder / _MERGED.format(viewpoint=viewpoint)]]
    for name in _SINGLE:
        choices.append(
            [folder / name.format(viewpoint=viewpoint, face=face) for face in range(FACES)]
        )
    for paths in reversed(choices) if full else choices:
        if all(path.is_file() for path in paths):
            return paths
    for paths in choices[1:]:
        missing = [path for path in paths if not path.is_file()]
        if len(missing) < FACES:
            raise FileNotFoundError(
                f"{missing[0]}: this face of the skybox is missing; download or downsize the "
                "skybox again"
            )
    raise FileNotFoundError(
        f"{choices[0][0]}: no skybox, neither this file with six faces nor {choices[-1][0].name} "
        f"to {choices[-1][-1].name}; download Matterport3D's skyboxes, or pass another folder of "
        "scans"
    )


def read_skybox(dataset: Path, scan: str, viewpoint: str, full: bool = False) -> np.ndarray:
    """Read the colours around a viewpoint; arguments as for `skybox_files`.

    Returns:
        (S, 6 S, 3) uint8 RGB, the faces side by side.
    """
    paths = skybox_files(dataset, scan, viewpoint, full)
    if len(paths) == 1:
        return _strip(paths[0], _read(paths[0], "RGB"))
    faces = [_read(path, "RGB") for path in paths]
    side = faces[0].shape[0]
    for path, face in zip(paths, faces, strict=True):
        if face.shape[:2] != (side, side):
            raise DamagedSkyboxError(path, f"{face.shape[:2]} pixels, not {(side, side)}")
    return np.concatenate(faces, axis=1)


def read_depth(dataset: Path, scan: str, viewpoint: str) -> np.ndarray:
    """Read the distances around a viewpoint, measured along the rays.

    Returns:
        (S, 6 S) uint16 in units of `METRES_PER_DEPTH_UNIT`, the faces side by side; 0 is unknown.
    """
    path = depth_file(dataset, scan, viewpoint)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no depth skybox; create it with depth_to_skybox.py of the Matterport3D "
            "Simulator, or disable depth"
        )
    return _strip(path, _read(path, None))


def depth_file(dataset: Path, scan: str, viewpoint: str) -> Path:
    """Return the path of the depth skybox of a viewpoint, which may not exist."""
    return skybox_dir(dataset, scan) / _DEPTH.format(viewpoint=viewpoint)


def _read(path: Path, mode: str | None) -> np.ndarray:
    """Read the pixels of an image in a mode of Pillow; None for 16-bit grey."""
    try:
        image = load_picture(path)
    except PictureError as error:
        raise DamagedSkyboxError(path, error.problem) from error
    if mode is not None:
        return np.asarray(image.convert(mode))
    pixels = np.asarray(image)
    if pixels.ndim != 2 or pixels.dtype not in (np.uint16, np.int32):
        raise DamagedSkyboxError(path, f"{pixels.dtype} {pixels.shape} is not 16-bit grey")
    return pixels.astype(np.uint16)


def _strip(path: Path, pixels: np.ndarray) -> np.ndarray:
    if pixels.shape[1] != FACES * pixels.shape[0]:
        raise DamagedSkyboxError(path, f"{pixels.shape[:2]} pixels are not six square faces")
    return pixels
