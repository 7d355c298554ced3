"""Reading Matterport's skyboxes: six pictures of 90 degrees around each viewpoint, and depth.

`<dataset>/<scan>/matterport_skybox_images/` holds for a viewpoint either one file of all six faces,
which the downsizing script of the Matterport3D Simulator makes and its version 0.2 reads, or a file
per face, as Matterport3D ships them and the simulator's version 0.1 reads them. Faces are numbered
0 up, 1 to 4 around to the right, 5 down.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from connectivity import read_connectivity
from envs.panoramas.cube_maps import FACES
from storage.pictures import PictureError, load_picture

# Depth images count quarters of a millimetre, README.md of the Matterport3D Simulator.
METRES_PER_DEPTH_UNIT = 0.00025

_MERGED = "{viewpoint}_skybox_small.jpg"
_SINGLE = ("{viewpoint}_skybox{face}_small.jpg", "{viewpoint}_skybox{face}_sami.jpg")
_DEPTH = "{viewpoint}_skybox_depth_small.png"


class DamagedSkyboxError(ValueError):
    """A file of a skybox is there but cannot be used.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, problem: str):
        super().__init__(
            f"{path}: damaged skybox ({problem}); fetch or downsize it again, or leave the "
            "viewpoint out where the command allows it"
        )
        self.path = path


def skybox_axes(scan: str, connectivity_dir: Path | None = None) -> dict[str, np.ndarray]:
    """Takes directions in a building to the cube of each viewpoint.

    The cube is seen through its centre: MatterSim looks backwards and keeps its picture upside down
    (`renderScene` of MatterSim.cpp), which together is a point reflection.

    Args:
        scan: name of the building.
        connectivity_dir: folder of the navigation graphs, whose poses say how skyboxes are turned.

    Returns:
        (3, 3) by viewpoint, to multiply directions with from the left; the result is in the axes of
        `envs.panoramas.cube_maps`.
    """
    return {
        record["image_id"]: -np.reshape(record["pose"], (4, 4))[:3, :3].T
        for record in read_connectivity(scan, connectivity_dir)
    }


def skybox_dir(dataset: Path, scan: str) -> Path:
    """Folder of the skyboxes of a scan."""
    return Path(dataset) / scan / "matterport_skybox_images"


def skybox_files(dataset: Path, scan: str, viewpoint: str, full: bool = False) -> list[Path]:
    """Files that hold a viewpoint's colours: one of six faces, or six of one face each.

    Args:
        dataset: folder of the scans, `v1/scans` in Matterport3D.
        scan: name of the building.
        viewpoint: its id.
        full: prefer faces of full size to downsized ones, where both are there.

    Raises:
        FileNotFoundError: no file, or only some of the six.
    """
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
            raise FileNotFoundError(f"{missing[0]}: this face of the skybox is missing")
    raise FileNotFoundError(
        f"{choices[0][0]}: no skybox, neither six faces in this file nor as {choices[-1][0].name} "
        f"to {choices[-1][-1].name}; get Matterport3D's skyboxes, or name another folder of scans"
    )


def read_skybox(dataset: Path, scan: str, viewpoint: str, full: bool = False) -> np.ndarray:
    """Colours around a viewpoint; arguments as for `skybox_files`.

    Returns:
        (S, 6 S, 3) uint8 RGB, the faces side by side.

    Raises:
        FileNotFoundError: see `skybox_files`.
        DamagedSkyboxError: a file is not a whole picture of square faces.
    """
    paths = skybox_files(dataset, scan, viewpoint, full)
    if len(paths) == 1:
        return _strip(paths[0], _read(paths[0], "RGB"))
    return _joined(paths, [_read(path, "RGB") for path in paths])


def read_depth(dataset: Path, scan: str, viewpoint: str) -> np.ndarray:
    """Distances around a viewpoint, from its camera and not from a picture plane.

    Returns:
        (S, 6 S) uint16 in units of `METRES_PER_DEPTH_UNIT`, the faces side by side; 0 is unknown.

    Raises:
        FileNotFoundError: the viewpoint has no depth.
        DamagedSkyboxError: the file is not a whole 16-bit picture of square faces.
    """
    path = depth_file(dataset, scan, viewpoint)
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no depth skybox; make it with depth_to_skybox.py of the Matterport3D "
            "Simulator, or do without depth"
        )
    return _strip(path, _read(path, None))


def depth_file(dataset: Path, scan: str, viewpoint: str) -> Path:
    """Where the depth of a viewpoint lies, if it has one."""
    return skybox_dir(dataset, scan) / _DEPTH.format(viewpoint=viewpoint)


def _read(path: Path, mode: str | None) -> np.ndarray:
    """Pixels of a picture in `mode`; None asks for 16 bits of grey."""
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


def _joined(paths: Sequence[Path], faces: Sequence[np.ndarray]) -> np.ndarray:
    side = faces[0].shape[0]
    for path, face in zip(paths, faces, strict=True):
        if face.shape[:2] != (side, side):
            raise DamagedSkyboxError(path, f"{face.shape[:2]} pixels, not {(side, side)}")
    return np.concatenate(faces, axis=1)
