"""Contact sheets: plans and pictures of the rooms of houses, for documentation and inspection."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from clipnav.envs.houses.plan.elements import EYE_HEIGHT
from clipnav.envs.panoramas.cameras import perspective_camera, render
from clipnav.envs.panoramas.ray_tracer import RayTracer
from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError
from clipnav.storage.progress import progress_bar

if TYPE_CHECKING:
    from clipnav.envs.houses.building.house import House
    from clipnav.envs.houses.plan.elements import Room


TILE = (270, 360)  # height and width in pixels of each plan and room
_LONGEST_JPEG = 65_500  # pixels; libjpeg writes no higher picture
_VFOV = np.deg2rad(66)
_PITCH = np.deg2rad(-14)
_TRIAL = (18, 24)  # size in pixels of the small pictures that rate a standpoint
_FURNITURE_SHARE = 0.01  # minimum share of a small picture that an object must cover
_STRUCTURE = {"wall", "floor", "ceiling", "skirting", "outside", "window", "door frame", "archway"}


def check_height(path: Path, houses: int, tile: tuple[int, int] = TILE) -> None:
    """Check that a contact sheet can be written as a JPEG file, if its name asks for one."""
    most = _LONGEST_JPEG // tile[0]
    if path.suffix == ".jpg" and houses > most:
        raise UserError(
            f"{path}: a contact sheet of {houses} houses is too high for a .jpg file, which shows "
            f"{most} at most; write a .png file, or show fewer houses"
        )


def set_sheet(
    scans: Sequence[str],
    path: Path,
    connectivity_dir: Path,
    tile: tuple[int, int] = TILE,
    rooms: int = 4,
) -> None:
    """Write a picture with one row per house: plans with graph and furniture, then some rooms.

    Args:
        tile: Height and width of each plan and room in pixels.
    """
    check_height(path, len(scans), tile)

    from PIL import Image, ImageDraw

    from clipnav.connectivity import read_connectivity
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
    from clipnav.envs.houses.rendering.plan_drawing import draw_plan

    source = HousePanoramas()
    rows = []
    for row, scan in enumerate(progress_bar(scans, desc="contact sheet", unit="houses")):
        house, tracer = source.house(scan), source.tracer(scan)
        records = read_connectivity(scan, connectivity_dir)
        plans = [
            (f"{scan}: storey {storey}", draw_plan(house, storey, tile, records))
            for storey in range(house.plan.storeys)
        ]
        # Rooms of different kinds first.
        seen: dict[str, int] = {}
        ranked = []
        for room in house.plan.rooms:
            seen[room.kind] = seen.get(room.kind, 0) + 1
            ranked.append((seen[room.kind], room.index, room))
        chosen = [room for *_, room in sorted(ranked, key=lambda entry: entry[:2])]
        chosen = [chosen[(row * rooms + k) % len(chosen)] for k in range(rooms)]
        views = [(room.kind, room_view(tracer, house, room, tile)) for room in chosen]
        rows.append((plans, views))
    storeys = max(len(plans) for plans, _ in rows)
    sheet = Image.new("RGB", ((storeys + rooms) * tile[1], len(rows) * tile[0]), "white")
    for row, (plans, views) in enumerate(rows):
        for column, (label, picture) in [*enumerate(plans), *enumerate(views, storeys)]:
            image = Image.fromarray(picture)
            draw = ImageDraw.Draw(image)
            draw.rectangle((0, 0, 6.2 * len(label) + 8, 14), fill=(0, 0, 0))
            draw.text((4, 1), label, fill=(255, 255, 255))
            sheet.paste(image, (column * tile[1], row * tile[0]))
    with atomic_write(path) as beside:
        sheet.save(beside)


def room_view(tracer: RayTracer, house: House, room: Room, size: tuple[int, int]) -> np.ndarray:
    """Render a room, (height, width, 3) uint8, from a standpoint that shows most furniture."""
    position, heading = max(
        _standpoints(room), key=lambda stand: _score(tracer, house, room, *stand)
    )
    camera = perspective_camera(size, heading, _PITCH, _VFOV)
    return render(tracer, position, camera, size, _VFOV / size[0]).rgb.reshape(*size, 3)


def _standpoints(room: Room) -> Iterator[tuple[np.ndarray, float]]:
    """Yield standpoints along the walls and in the corners, facing the centre of the room."""
    x_middle, y_middle = room.centre
    eye = room.floor + EYE_HEIGHT
    for inset in (0.45, 0.8):
        for x in (room.x0 + inset, x_middle, room.x1 - inset):
            for y in (room.y0 + inset, y_middle, room.y1 - inset):
                if abs(x - x_middle) + abs(y - y_middle) > 0.3:
                    heading = float(np.arctan2(x_middle - x, y_middle - y))
                    yield np.array([x, y, eye]), heading


def _score(
    tracer: RayTracer, house: House, room: Room, position: np.ndarray, heading: float
) -> float:
    """Return the score of a standpoint: visible furniture and depth, less nearby obstruction."""
    camera = perspective_camera(_TRIAL, heading, _PITCH, _VFOV)
    x, y = np.meshgrid(np.arange(_TRIAL[1]) + 0.5, np.arange(_TRIAL[0]) + 0.5)
    hits = tracer.trace(position, camera(x.ravel(), y.ravel()))
    shown, pixels = np.unique(hits.object_id[hits.object_id >= 0], return_counts=True)
    objects = house.scene.objects
    furniture = sum(
        objects[index].room == room.index and objects[index].category not in _STRUCTURE
        for index in shown[pixels > _FURNITURE_SHARE * hits.object_id.size]
    )
    blocked = np.mean(hits.distance < 0.9)
    return furniture + 0.5 * float(np.median(hits.distance)) - 25 * float(blocked)
