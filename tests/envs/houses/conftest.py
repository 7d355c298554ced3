"""A hand-written house of two storeys with known distances and angles."""

import numpy as np
import pytest

from clipnav.envs.graphs.routes import Routes
from clipnav.envs.houses.language.sight import Sight
from clipnav.envs.houses.survey.visibility import HEADING_STEPS, Survey
from clipnav.envs.models.scene import ObjectInfo

# A hallway of six viewpoints along y; a bedroom, a kitchen and a second bedroom to its east. At its
# end, stairs (12) lead to a landing (13, 14) with a library beside it.
PLAN = """
index  x    y    z    room
0      0    0    1.5  0
1      0    2    1.5  0
2      0    4    1.5  0
3      0    6    1.5  0
4      0    8    1.5  0
5      0    10   1.5  0
6      2    0    1.5  1
7      4    0    1.5  1
8      2    4    1.5  2
9      4    4    1.5  2
10     2    10   1.5  3
11     4    10   1.5  3
12     0    12   2.9  4
13     0    14   4.4  5
14     0    16   4.4  5
15     2    16   4.4  6
16     4    16   4.4  6
"""
EDGES = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (0, 6), (6, 7), (2, 8), (8, 9), (5, 10), (10, 11)]
EDGES += [(5, 12), (12, 13), (13, 14), (14, 15), (15, 16)]
ROOM_KINDS = ("hallway", "bedroom", "kitchen", "bedroom", "staircase", "landing", "library")
# Category, colour, material, room (-1 for a doorway) and position.
THINGS = [
    ("bed", "blue", "", 1, (4.5, 0.0)),
    ("wardrobe", "white", "wooden", 1, (2.0, -1.0)),
    ("fridge", "white", "metal", 2, (4.5, 4.0)),
    ("stove", "grey", "", 2, (2.0, 3.0)),
    ("bed", "red", "", 3, (4.5, 10.0)),
    ("desk", "brown", "", 3, (2.0, 11.0)),
    ("coat rack", "black", "", 0, (-0.8, 3.0)),
    ("entrance bench", "green", "", 0, (-0.9, 7.0)),
    ("statue", "white", "", 0, (0.9, 8.6)),
    ("picture", "red", "", 0, (1.0, 2.6)),
    ("picture", "blue", "", 0, (1.0, 5.2)),
    ("plant", "green", "", 5, (-0.9, 15.0)),
    ("bookshelf", "brown", "", 6, (2.0, 17.0)),
    ("globe", "blue", "", 6, (4.6, 16.0)),
    ("chair", "green", "wooden", 2, (3.4, 4.9)),
    ("chair", "green", "wooden", 2, (4.4, 4.9)),
    ("door frame", "white", "", -1, (1.0, 0.0)),
    ("door frame", "white", "", -1, (1.0, 4.0)),
    ("door frame", "white", "", -1, (1.0, 10.0)),
    ("door frame", "white", "", -1, (1.0, 16.0)),
]


def make_survey(mirrored: bool = False) -> Survey:
    """Build the survey: each object is a disc of radius 0.4 m, visible in its room and door.

    Args:
        mirrored: Whether left and right are exchanged.
    """
    flip = -1.0 if mirrored else 1.0
    rows = [line.split() for line in PLAN.strip().splitlines()[1:]]
    positions = np.array([[flip * float(row[1]), float(row[2])] for row in rows])
    heights = np.array([float(row[3]) for row in rows])
    rooms = np.array([int(row[4]) for row in rows])
    edges = np.zeros((len(rows), len(rows)), bool)
    for i, j in EDGES:
        edges[i, j] = edges[j, i] = True
    things = [(*thing[:4], (flip * thing[4][0], thing[4][1])) for thing in THINGS]
    objects = tuple(
        ObjectInfo(i, kind, colour, made_of, room, (x - 0.3, y - 0.3, 0), (x + 0.3, y + 0.3, 1))
        for i, (kind, colour, made_of, room, (x, y)) in enumerate(things)
    )
    areas = np.zeros((len(rows), HEADING_STEPS, len(objects)), np.float32)
    distances = np.full((len(rows), len(objects)), np.inf, np.float32)
    for v, position in enumerate(positions):
        in_sight = {int(rooms[v])} | {int(rooms[n]) for n in np.flatnonzero(edges[v])} | {-1}
        for thing, (_, _, _, room, place) in enumerate(things):
            x, y = np.array(place) - position
            if room not in in_sight or np.hypot(x, y) > 7:
                continue
            distances[v, thing] = np.hypot(x, y)
            step = round(np.arctan2(x, y) / np.radians(30)) % HEADING_STEPS
            shown = [(step + aside) % HEADING_STEPS for aside in (-1, 0, 1)]
            areas[v, shown, thing] = min(0.4 / np.hypot(x, y), 1) ** 2 / 4 + 0.01
    names = tuple(f"{v:032x}" for v in range(len(rows)))
    return Survey(
        "tiny", names, positions, edges, rooms, ROOM_KINDS, objects, areas, distances, heights
    )


@pytest.fixture(scope="session")
def survey() -> Survey:
    return make_survey()


@pytest.fixture(scope="session")
def sight(survey) -> Sight:
    return Sight(survey)


@pytest.fixture(scope="session")
def routes(survey) -> Routes:
    return Routes.of(survey.cameras, survey.edges)
