"""Sources of panoramas: the built-in houses, Matterport3D's skyboxes and habitat-sim."""

from functools import lru_cache
from pathlib import Path
from threading import Lock

from clipnav.envs.panoramas.panorama import Panorama
from clipnav.envs.pictures.panorama_files import DrawnPictures, NoPictures, PanoramaSource, Pictures
from clipnav.envs.pictures.view_pictures import ViewPictures
from clipnav.envs.sharing import SharedObjects, files_digest
from clipnav.envs.worlds import WorldFiles
from clipnav.storage import cache_dir
from clipnav.storage.errors import UserError
from clipnav.storage.features.view_grid import VFOV

_SHARED: SharedObjects[ViewPictures] = SharedObjects()


def world_pictures(files: WorldFiles, skyboxes: Path | None = None) -> Pictures:
    """Return the source of pictures of a world, without pictures if the user has none."""
    if files.is_built_in:
        return house_pictures()
    folder = skyboxes or files.annotations_dir / "matterport" / "v1" / "scans"
    if folder.is_dir():
        return _skybox_pictures(folder, files.connectivity_dir)
    return NoPictures(
        f"No skyboxes in {folder}: only the map is shown. To show panoramas, put Matterport3D's "
        "skybox images there or name their folder with --scan-dir FOLDER (scan_dir)."
    )


def shared_pictures(
    files: WorldFiles,
    source: PanoramaSource | str = "world",
    scan_dir: str | Path | None = None,
    size: int | tuple[int, int] = 224,
    vfov: float = VFOV,
) -> ViewPictures:
    """Return the pictures of a world, shared by all users in this process with equal arguments.

    Args:
        size: Height and width of a picture in pixels, or one number for both.
        vfov: Vertical field of view in radians.
    """
    folder = None if scan_dir is None else Path(scan_dir)

    def make() -> ViewPictures:
        if not isinstance(source, str):
            return ViewPictures(source, size, vfov)
        if source == "habitat":
            return ViewPictures(_habitat_pictures(files, folder), size, vfov)
        if files.is_built_in and folder is not None:
            raise UserError(
                f"scan_dir {folder} has no effect in world '{files.world}'; leave it out"
            )
        pictures = world_pictures(files, folder)
        if pictures.note:
            raise UserError(f"world '{files.world}' has no pictures to observe: {pictures.note}")
        return ViewPictures(pictures, size, vfov)

    # An object that is a source is kept alive by the pictures, so its id is not reused.
    named = source if isinstance(source, str) else id(source)
    return _SHARED.get((files, named, folder, size, vfov), make)


def house_pictures() -> DrawnPictures:
    """Return the pictures of the built-in houses; a house is built on first request."""
    from clipnav.envs.houses.building.house import GENERATOR_VERSION, house_cache_dir
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas, print_to_stderr
    from clipnav.envs.panoramas import render_panorama

    houses, building = HousePanoramas(announce=print_to_stderr), Lock()

    def draw(scan: str, viewpoint: str, width: int) -> Panorama:
        position = houses.position(scan, viewpoint)
        return render_panorama(houses.tracer(scan), position, width)

    def folder(scan: str) -> Path:
        path = house_cache_dir() / f"{scan}.glb"
        with building:
            if not path.is_file():
                houses.tracer(scan)
        # The pictures of a house that was built again may differ from the old ones.
        built = f"{path.stat().st_size:x}-{path.stat().st_mtime_ns:x}"
        name = f"houses-v{GENERATOR_VERSION}"
        return cache_dir() / "panoramas" / name / f"{scan}-{built}"

    return DrawnPictures(draw, folder, remake=(house_pictures, ()))


def _skybox_pictures(folder: Path, connectivity_dir: Path) -> DrawnPictures:
    """Return the pictures of Matterport3D's viewpoints, from the skyboxes in a folder."""
    from clipnav.envs.panoramas.matterport_panoramas import MatterportPanoramas
    from clipnav.envs.panoramas.skyboxes import skybox_dir

    @lru_cache
    def panoramas(width: int) -> MatterportPanoramas:
        return MatterportPanoramas(folder, connectivity_dir, width)

    def draw(scan: str, viewpoint: str, width: int) -> Panorama:
        return panoramas(width).panorama(scan, viewpoint)

    @lru_cache
    def kept(scan: str) -> Path:
        # Panoramas depend on the skyboxes and on the poses in the connectivity file. A file that is
        # overwritten does not change the time of its folder.
        skyboxes = skybox_dir(folder, scan)
        poses = connectivity_dir / f"{scan}_connectivity.json"
        parts = (skyboxes, poses, *sorted(skyboxes.glob("*_skybox*")))
        return cache_dir() / "panoramas" / "matterport" / f"{scan}-{files_digest(parts)}"

    return DrawnPictures(draw, kept, remake=(_skybox_pictures, (folder, connectivity_dir)))


def _habitat_pictures(files: WorldFiles, folder: Path | None = None) -> DrawnPictures:
    """Return the pictures of 3D models, drawn by habitat-sim.

    Args:
        folder: Folder of the 3D models, see `HabitatPanoramas`; None for those of the built-in
            houses, which are built on first request.
    """
    from clipnav.envs.continuous.habitat_simulator import SceneFiles, folder_files, house_files
    from clipnav.envs.habitat.client import habitat_python
    from clipnav.envs.houses.building.house import house_cache_dir
    from clipnav.envs.panoramas.habitat_panoramas import HabitatPanoramas

    habitat_python()  # before houses are built, which takes minutes
    if folder is None and not files.is_built_in:
        raise UserError(
            f"world '{files.world}' requires the folder of its 3D models for habitat; give scan_dir"
        )
    scenes = folder or house_cache_dir()

    @lru_cache
    def panoramas(width: int) -> HabitatPanoramas:
        return HabitatPanoramas(scenes, files.connectivity_dir, width)

    def draw(scan: str, viewpoint: str, width: int) -> Panorama:
        return panoramas(width).panorama(scan, viewpoint)

    @lru_cache
    def scene(scan: str) -> SceneFiles:
        return folder_files(folder, scan) if folder else house_files(scan)

    def kept(scan: str) -> Path:
        parts = *scene(scan), files.connectivity_dir / f"{scan}_connectivity.json"
        return cache_dir() / "panoramas" / "habitat" / f"{scan}-{files_digest(parts)}"

    return DrawnPictures(draw, kept, remake=(_habitat_pictures, (files, folder)))
