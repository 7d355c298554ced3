"""Frames of an episode: panorama with numbered candidates, map with paths, instruction."""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.candidates import candidate_table
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.navigation.rendering.fonts import MissingFontError, font_for
from clipnav.envs.pictures.panorama_files import Pictures
from clipnav.envs.pictures.world_pictures import world_pictures
from clipnav.envs.submissions.files import Trajectory
from clipnav.envs.worlds import WorldFiles

WIDTH, STRIP_HEIGHT, PANEL_HEIGHT = 960, 360, 280
MAP_WIDTH = 400
_PANORAMA_WIDTH = 1024

PAPER, INK, FAINT = (250, 249, 246), (40, 40, 45), (205, 204, 200)
REFERENCE, WALKED, _MARK = (46, 139, 87), (226, 119, 30), (24, 100, 200)
VIEW_CONE = (248, 214, 176)
_STOREY = 3.0  # approximate height of a storey in metres
_SKY, _GROUND = (206, 216, 226), (178, 174, 168)


# Returns the equirectangular image of (scan, viewpoint): (H, 2H, 3) uint8, north in the middle.
ReadPanorama = Callable[[str, str], np.ndarray]


def draw_frame(
    graph: NavGraph,
    episode: Episode,
    trajectory: Trajectory,
    panorama: ReadPanorama | None,
) -> np.ndarray:
    """Draw the current viewpoint of an agent.

    Args:
        trajectory: Viewpoint, heading and elevation (radians) of each visit so far.
        panorama: Function that returns panoramas; None for a world without images, which shows
            plain ground and sky.

    Returns:
        (640, 960, 3) uint8 RGB. The upper part is the panorama with the agent's heading in the
        middle and the candidates labelled with their actions; the lower part is the map (reference
        path green, trajectory orange) and the instruction.
    """
    frame = Image.new("RGB", (WIDTH, STRIP_HEIGHT + PANEL_HEIGHT), PAPER)
    viewpoint, heading, _ = trajectory[-1]
    picture = _bare_panorama() if panorama is None else panorama(episode.scan, viewpoint)
    frame.paste(_strip(picture, heading), (0, 0))
    draw = ImageDraw.Draw(frame)
    _mark_candidates(draw, graph, viewpoint, heading)
    _draw_map(draw, graph, episode, trajectory)
    _write_text(draw, graph, episode, trajectory)
    return np.array(frame)


def draw_frames(
    graphs: Mapping[str, NavGraph],
    episodes: Sequence[Episode],
    trajectories: Sequence[Trajectory],
    files: WorldFiles,
    skyboxes: Path | None = None,
) -> tuple[np.ndarray, ...]:
    """Draw the current viewpoints of several agents, see `draw_frame`.

    Panoramas are those of the built-in houses, or of Matterport3D's skyboxes if there are some.
    """
    pictures = _pictures(files, skyboxes)
    panorama = None if pictures.note else partial(_panorama, pictures)
    return tuple(
        draw_frame(graphs[episode.scan], episode, trajectory, panorama)
        for episode, trajectory in zip(episodes, trajectories, strict=True)
    )


@lru_cache(maxsize=4)
def _pictures(files: WorldFiles, skyboxes: Path | None) -> Pictures:
    return world_pictures(files, skyboxes)


def _panorama(pictures: Pictures, scan: str, viewpoint: str) -> np.ndarray:
    return pictures.rgb(scan, viewpoint, _PANORAMA_WIDTH)


def _strip(picture: np.ndarray, heading: float) -> Image.Image:
    """Crop the panorama to elevations of +-67.5 degrees, with `heading` in the middle."""
    shift = -round(heading / (2 * np.pi) * picture.shape[1])
    whole = Image.fromarray(np.roll(picture, shift, axis=1)).resize((WIDTH, WIDTH // 2))
    top = (WIDTH // 2 - STRIP_HEIGHT) // 2
    return whole.crop((0, top, WIDTH, top + STRIP_HEIGHT))


def _bare_panorama() -> np.ndarray:
    picture = np.empty((WIDTH // 2, WIDTH, 3), dtype=np.uint8)
    picture[: WIDTH // 4] = _SKY
    picture[WIDTH // 4 :] = _GROUND
    return picture


def _mark_candidates(
    draw: ImageDraw.ImageDraw, graph: NavGraph, viewpoint: str, heading: float
) -> None:
    """Draw the number of each candidate at the floor below its viewpoint."""
    table = candidate_table(graph)
    node = graph.index(viewpoint)
    targets = table.targets[node][table.targets[node] >= 0]
    offsets = graph.positions[targets] - graph.positions[node]
    below = offsets[:, 2] - graph.heights[targets]
    elevation = np.arctan2(below, np.hypot(offsets[:, 0], offsets[:, 1]))
    turn = table.headings[node][: len(targets)] - heading
    columns = WIDTH / 2 + (turn + np.pi) % (2 * np.pi) * WIDTH / (2 * np.pi) - WIDTH / 2
    rows = np.clip(STRIP_HEIGHT / 2 - elevation * WIDTH / (2 * np.pi), 16, STRIP_HEIGHT - 16)
    # Far candidates first, so that near ones are drawn on top.
    for i in np.argsort(-np.linalg.norm(offsets, axis=1)):
        x, y = float(columns[i]), float(rows[i])
        draw.ellipse((x - 13, y - 11, x + 13, y + 11), fill=_MARK, outline=PAPER, width=2)
        draw.text((x, y), str(i + 1), fill=PAPER, font=font_for("0", 15), anchor="mm")


def _draw_map(
    draw: ImageDraw.ImageDraw, graph: NavGraph, episode: Episode, trajectory: Trajectory
) -> None:
    points = _map_points(graph)
    here = graph.index(trajectory[-1][0])
    # Storeys overlap on the map; only the agent's own storey is drawn in a strong colour.
    rise = np.abs(graph.positions[:, 2] - graph.positions[here, 2])
    own_storey = rise < _STOREY / 2
    for i, j in np.argwhere(np.triu(graph.adjacency)):
        draw.line([points[i], points[j]], fill=FAINT, width=1)
    for point, own in zip(points, own_storey, strict=True):
        draw_dot(draw, point, 2, INK if own else FAINT)
    reference = [points[graph.index(v)] for v in episode.path]
    walked = [points[graph.index(step[0])] for step in trajectory]
    if episode.has_goal:
        draw.line(reference, fill=REFERENCE, width=5, joint="curve")
        for goal in episode.goal.viewpoints:
            draw_dot(draw, points[graph.index(goal)], 7, None, outline=REFERENCE)
    draw.line(walked, fill=WALKED, width=2)
    x, y = points[here]
    # PIL measures angles clockwise from the right, headings are clockwise from the top.
    middle = np.rad2deg(trajectory[-1][1]) - 90
    draw.pieslice((x - 18, y - 18, x + 18, y + 18), middle - 30, middle + 30, fill=VIEW_CONE)
    draw_dot(draw, points[here], 5, WALKED)


def _map_points(graph: NavGraph) -> list[tuple[float, float]]:
    """Return the pixel of each viewpoint, north up, with the building scaled to the map."""
    margin = 20
    low, high = graph.positions[:, :2].min(axis=0), graph.positions[:, :2].max(axis=0)
    room = np.array([MAP_WIDTH, PANEL_HEIGHT]) - 2 * margin
    scale = float((room / np.maximum(high - low, 1.0)).min())
    centred = (graph.positions[:, :2] - (low + high) / 2) * scale
    x = MAP_WIDTH / 2 + centred[:, 0]
    y = STRIP_HEIGHT + PANEL_HEIGHT / 2 - centred[:, 1]
    return list(zip(x.tolist(), y.tolist(), strict=True))


def _write_text(
    draw: ImageDraw.ImageDraw, graph: NavGraph, episode: Episode, trajectory: Trajectory
) -> None:
    left, top = MAP_WIDTH + 20, STRIP_HEIGHT + 16
    state = f"{episode.scan}   episode {episode.instr_id}   {len(trajectory) - 1} moves"
    if episode.has_goal:
        state += (
            f"   {graph.geodesic_to(trajectory[-1][0], episode.goal.viewpoints):.1f} m to the goal"
        )
    draw.text((left, top), state, fill=INK, font=font_for(state, 14))
    room = WIDTH - left - 20
    write_instruction(draw, episode.instruction, (left, top + 32), (room, PANEL_HEIGHT - 60))


def write_instruction(
    draw: ImageDraw.ImageDraw, text: str, corner: tuple[int, int], room: tuple[int, int]
) -> None:
    """Write an instruction into a box; what does not fit is replaced by an ellipsis.

    Args:
        corner: Left and top of the box in pixels.
        room: Width and height of the box in pixels.
    """
    try:
        font = font_for(text, 18)
    except MissingFontError as error:
        # The error message is reduced to ASCII, which every font has.
        text = f"The instruction cannot be drawn: {error}".encode("ascii", "replace").decode()
        font = font_for(text, 18)
    width = room[0] - draw.textlength(" ...", font)
    lines = wrapped_lines(draw, text.split(), font, width)
    shown = ""
    for count in range(max(1, min(len(lines), room[1] // 25)), 0, -1):
        ending = " ..." if count < len(lines) else ""
        shown = "\n".join(lines[:count]) + ending
        # Lines of Devanagari and Telugu are higher than those of other scripts.
        if draw.multiline_textbbox((0, 0), shown, font, spacing=6)[3] <= room[1]:
            break
    draw.multiline_text(corner, shown, fill=INK, font=font, spacing=6)


def wrapped_lines(
    draw: ImageDraw.ImageDraw,
    words: Sequence[str],
    font: ImageFont.FreeTypeFont,
    width: float,
) -> list[str]:
    """Break words into lines of at most `width` pixels."""
    lines = [""]
    for word in words:
        longer = f"{lines[-1]} {word}".strip()
        if draw.textlength(longer, font=font) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def draw_dot(
    draw: ImageDraw.ImageDraw,
    centre: tuple[float, float],
    radius: float,
    fill: tuple[int, int, int] | None,
    outline: tuple[int, int, int] | None = None,
) -> None:
    """Draw a disc, or a ring if there is no fill, around a pixel."""
    x, y = centre
    box = (x - radius, y - radius, x + radius, y + radius)
    draw.ellipse(box, fill=fill, outline=outline, width=2)
