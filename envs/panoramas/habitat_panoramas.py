"""Panoramas and views of 3D models, rendered by habitat-sim in another process.

Habitat's axes are our x, z and -y; its yaw is counter-clockwise around the vertical axis.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from clipnav.connectivity import read_connectivity
from clipnav.envs.habitat.client import shared_server
from clipnav.envs.panoramas.cameras import equirectangular_camera
from clipnav.envs.panoramas.cube_maps import cube_strip, draw, rays, rotated, sample_distance
from clipnav.envs.panoramas.panorama import Panorama
from clipnav.storage import write_text
from clipnav.storage.errors import UnknownNameError, UserError
from clipnav.storage.features.view_grid import NUM_VIEWS, VFOV, view_direction

_RGB, _DEPTH = "rgb", "depth"
# Heading and elevation (in quarter turns) of the faces of a cube: up, four around, down.
_FACES = tuple(
    (heading * np.pi / 2, elevation * np.pi / 2)
    for heading, elevation in ((0, 1), (0, 0), (1, 0), (2, 0), (3, 0), (0, -1))
)
# Matrix to the axes of that cube, which are right, up and forward.
_CUBE_AXES = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
# Without this habitat assumes that z is up in a GLB, and rotates the scene.
_UPRIGHT = {"up": [0, 1, 0], "front": [0, 0, -1]}
_LONGEST_HEADER = 64 * 2**20  # bytes of a GLB that describe it


class Drawer(Protocol):
    """What draws: a `HabitatServer`, or `clipnav.envs.habitat.server.Habitat` in this process."""

    def draw(
        self,
        scene: str,
        cameras: Sequence[dict[str, Any]],
        positions: np.ndarray,
        yaws: Sequence[float],
        pitches: Sequence[float],
    ) -> dict[str, np.ndarray]:
        """Draw pictures; see `clipnav.envs.habitat.server.Habitat.draw`."""
        ...

    def close(self) -> None:
        """End the simulator."""
        ...


class HabitatPanoramas:
    """Renders panoramas and views at the viewpoints of 3D models.

    Args:
        scenes: Folder with `<scan>.stage_config.json`, `<scan>.glb` or `<scan>/<scan>.glb`, in this
            order of preference. A GLB without configuration must have z up, as in Matterport3D.
        drawer: The simulator; None for that of this process, see
            `clipnav.envs.habitat.client.shared_server`.
    """

    def __init__(
        self,
        scenes: Path,
        connectivity_dir: Path | None = None,
        width: int = 1024,
        drawer: Drawer | None = None,
    ):
        self._scenes = Path(scenes)
        self._connectivity_dir = connectivity_dir
        self._width = width
        self._drawer = drawer or shared_server()
        self._positions: dict[str, dict[str, np.ndarray]] = {}

    def views36(
        self, scan: str, viewpoint: str, size: int | tuple[int, int] = 224, vfov: float = VFOV
    ) -> np.ndarray:
        """Render the 36 views of a viewpoint.

        Args:
            vfov: Vertical field of view in radians; pixels are square.

        Returns:
            (36, height, width, 3) uint8 RGB, in the order and geometry of
            `clipnav.envs.panoramas.views.views36`.
        """
        shape = (size, size) if isinstance(size, int) else size
        directions = [view_direction(view) for view in range(NUM_VIEWS)]
        return self._render(scan, viewpoint, directions, shape, vfov, (_RGB,))[_RGB]

    def panorama(self, scan: str, viewpoint: str) -> Panorama:
        """Render RGB and depth around a viewpoint from six square images.

        Depth is the distance along the ray in metres, inf where nothing is hit. Object ids are
        unknown (-1).
        """
        side = self._width // 4
        faces = self._render(scan, viewpoint, _FACES, (side, side), np.pi / 2, (_RGB, _DEPTH))
        rgb = np.concatenate(list(faces[_RGB]), axis=1)
        # Habitat measures depth from the camera plane of each face.
        offset = (2 * np.arange(side) + 1) / side - 1
        stretch = np.sqrt(1 + offset[None, :] ** 2 + offset[:, None] ** 2).astype(np.float32)
        distance = np.concatenate(list(faces[_DEPTH] * stretch), axis=1)
        size = (self._width // 2, self._width)
        directions = rays(equirectangular_camera(self._width), size)
        depth = sample_distance(distance, rotated(_CUBE_AXES, directions))
        return Panorama(
            draw(cube_strip(rgb), _CUBE_AXES, directions),
            np.where(np.isnan(depth), np.float32(np.inf), depth),
            np.full(size, -1, np.int32),
        )

    def _render(
        self,
        scan: str,
        viewpoint: str,
        directions: Sequence[tuple[float, float]],
        size: tuple[int, int],
        vfov: float,
        sensors: tuple[str, ...],
    ) -> dict[str, np.ndarray]:
        """Return pictures in N directions (heading, elevation), (N, height, width, ...)."""
        if scan not in self._positions:
            positions = {
                record["image_id"]: np.reshape(record["pose"], (4, 4))[:3, 3]
                for record in read_connectivity(scan, self._connectivity_dir)
            }
            check_upright(scene_file(self._scenes, scan), [*positions.values()])
            self._positions[scan] = positions
        if viewpoint not in self._positions[scan]:
            raise UnknownNameError(f"{scan}_connectivity.json has no viewpoint {viewpoint!r}")
        x, y, z = self._positions[scan][viewpoint]
        position = np.array([x, z, -y], np.float32)  # in habitat's axes
        # Habitat takes the horizontal field of view only.
        hfov = float(np.degrees(2 * np.arctan(np.tan(vfov / 2) * size[1] / size[0])))
        cameras = [{"name": s, "kind": s, "size": list(size), "hfov": hfov} for s in sensors]
        headings, elevations = zip(*directions, strict=True)
        return self._drawer.draw(
            str(scene_file(self._scenes, scan)),
            cameras,
            np.tile(position, (len(directions), 1)),
            [-heading for heading in headings],
            list(elevations),
        )


def scene_file(scenes: Path, scan: str) -> Path:
    """Return the file of a scan's 3D model that habitat-sim opens."""
    names = (f"{scan}.stage_config.json", f"{scan}.glb", f"{scan}/{scan}.glb")
    for name in names:
        if (scenes / name).is_file():
            return scenes / name
    raise FileNotFoundError(
        f"{scenes}: no 3D model of scan '{scan}'; add one of {', '.join(names)}, or pass another "
        "folder of 3D models"
    )


def check_upright(scene: Path, positions: Sequence[np.ndarray]) -> None:
    """Refuse a GLB that contains more of the positions (3,) with y up than with z up.

    Habitat would rotate it, and pictures at the viewpoints would show mostly nothing.
    """
    if scene.suffix != ".glb":  # its configuration says what is up
        return
    try:
        with scene.open("rb") as file:
            length = int.from_bytes(file.read(20)[12:16], "little")
            content = json.loads(file.read(min(length, _LONGEST_HEADER)))
        corners = [
            [content["accessors"][part["attributes"]["POSITION"]][side] for side in ("min", "max")]
            for mesh in content["meshes"]
            for part in mesh["primitives"]
        ]
        lower, upper = np.array(corners, float).reshape(-1, 2, 3).transpose(1, 0, 2)
        # Without the ground around a building, which is large but has few parts.
        lower, upper = np.quantile(lower, 0.05, axis=0), np.quantile(upper, 0.95, axis=0)
    except (ValueError, LookupError, TypeError, RecursionError):
        return  # habitat-sim itself reports what is wrong with it
    x, y, z = np.reshape(positions, (-1, 3)).T
    z_up, y_up = (
        int(((points > lower) & (points < upper)).all(axis=1).sum())
        for points in (np.stack([x, y, z], axis=1), np.stack([x, z, -y], axis=1))
    )
    if y_up > z_up:
        raise UserError(
            f"{scene}: {y_up} of {len(x)} viewpoints are in this 3D model if its vertical axis is "
            f"y, {z_up} if it is z, which habitat-sim assumes; write beside it a "
            f'{scene.stem}.stage_config.json that contains "render_asset", "up": [0, 1, 0] and '
            '"front": [0, 0, -1]'
        )


def write_scene_dataset(folder: Path, scans: Iterable[str]) -> Path:
    """Write the configuration that gives habitat-sim the orientation of the GLBs of a folder.

    The function writes a `<scan>.stage_config.json` for each `<scan>.glb`, which can be used as
    `scene_id`, and one `houses.scene_dataset_config.json` for
    `SimulatorConfiguration.scene_dataset_config_file`. Files that exist with this content are left
    as they are, because every environment calls it.
    """
    path = folder / "houses.scene_dataset_config.json"
    dataset = {
        "stages": {
            "default_attributes": _UPRIGHT,
            "paths": {".json": ["*.stage_config.json"]},
        }
    }
    contents = {path: dataset}
    for scan in scans:
        stage = {"render_asset": f"{scan}.glb", **_UPRIGHT}
        contents[folder / f"{scan}.stage_config.json"] = stage
    for file, content in contents.items():
        text = json.dumps(content, indent=2) + "\n"
        if not file.is_file() or file.read_bytes() != text.encode():
            write_text(file, text)
    return path
