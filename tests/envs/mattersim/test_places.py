"""Navigable locations against a second derivation, on buildings and cameras drawn at random."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from envs.mattersim.places import Building
from envs.nav_graph import NavGraph

angles = st.floats(-20.0, 20.0)


@st.composite
def graphs(draw):
    """A building of up to 9 viewpoints, some excluded, some at one place or above each other."""
    count = draw(st.integers(2, 9))
    coordinate = st.one_of(st.integers(-2, 2).map(float), st.floats(-30.0, 30.0, width=32))
    positions = draw(
        st.lists(st.tuples(coordinate, coordinate, coordinate), min_size=count, max_size=count)
    )
    edges = draw(st.sets(st.tuples(st.integers(0, count - 1), st.integers(0, count - 1))))
    included = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    included[0] = True
    records = []
    for i, position in enumerate(positions):
        pose = np.eye(4)
        pose[:3, 3] = position
        records.append(
            {
                "image_id": f"v{i}",
                "included": included[i],
                "pose": pose.ravel().tolist(),
                "unobstructed": [(i, j) in edges or (j, i) in edges for j in range(count)],
            }
        )
    return records


def expected_locations(records, here, heading, elevation, half_field):
    """Rows (ix, rel_heading, rel_elevation, rel_distance), one neighbour and operation at a time.

    Every operand is a NumPy float32 or a Python float, which keeps the precision of each step.
    """
    f = np.float32
    camera_x = f(math.cos(math.pi / 2 - heading))
    camera_y = f(math.sin(math.pi / 2 - heading))
    origin = [f(v) for v in np.reshape(records[here]["pose"], (4, 4))[:3, 3]]
    rows = []
    for ix, record in enumerate(records):
        if ix == here or not record["included"] or not records[here]["unobstructed"][ix]:
            continue
        target = [f(v) for v in np.reshape(record["pose"], (4, 4))[:3, 3]]
        dx, dy, dz = (b - a for a, b in zip(origin, target, strict=True))
        flat = np.sqrt(dx * dx + dy * dy)
        with np.errstate(all="ignore"):
            inverse = f(1) / flat
            cosine = (dx * inverse) * camera_x + (dy * inverse) * camera_y
        if half_field is not None and not float(cosine) >= math.cos(half_field):
            continue
        right, ahead = dx * camera_y - dy * camera_x, dx * camera_x + dy * camera_y
        rel_heading = float(f(math.atan2(float(right), float(ahead))))
        rel_elevation = math.atan2(float(dz), float(flat)) - elevation
        distance = float(np.sqrt(dx * dx + dy * dy + dz * dz))
        rows.append((ix, rel_heading, rel_elevation, distance))
    # Sorting by insertion, as std::sort does short lists: a later one goes before what is greater.
    ordered = []
    for row in rows:
        place = len(ordered)
        while place and offset(row) < offset(ordered[place - 1]):
            place -= 1
        ordered.insert(place, row)
    return [(here, 0.0, 0.0, 0.0), *ordered]


def offset(row):
    return math.sqrt(row[1] * row[1] + row[2] * row[2])


@settings(max_examples=300, deadline=None)
@given(
    graphs(),
    angles,
    st.floats(-1.5, 1.5),
    st.one_of(st.none(), st.floats(0.05, 3.2), st.just(math.radians(40.0))),
)
def test_locations_equal_a_second_derivation(records, heading, elevation, half_field):
    min_cosine = None if half_field is None else math.cos(half_field)
    building = Building(NavGraph("built", records), min_cosine)
    for here, record in enumerate(records):
        if record["included"]:
            locations = building.find(record["image_id"]).navigable(heading, elevation)
            rows = [(v.ix, v.rel_heading, v.rel_elevation, v.rel_distance) for v in locations]
            assert rows == expected_locations(records, here, heading, elevation, half_field)
            assert [v.viewpointId for v in locations] == [
                records[v.ix]["image_id"] for v in locations
            ]


def test_a_neighbour_straight_above_is_out_of_sight_unless_navigation_is_free():
    records = [
        {
            "image_id": name,
            "included": True,
            "pose": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, height, 0, 0, 0, 1],
            "unobstructed": [True, True],
        }
        for name, height in (("low", 0.0), ("high", 2.5))
    ]
    graph = NavGraph("tower", records)
    seen = Building(graph, min_cosine=-1.0).find("low").navigable(0.3, 0.0)
    assert [v.viewpointId for v in seen] == ["low"]
    seen = Building(graph, min_cosine=None).find("low").navigable(0.3, 0.0)
    assert [v.viewpointId for v in seen] == ["low", "high"]
    assert (seen[1].rel_heading, seen[1].rel_elevation) == (0.0, math.pi / 2)
    assert seen[1].rel_distance == 2.5


def test_positions_are_rounded_to_32_bits(tiny_world):
    graph = NavGraph.load("attic", tiny_world / "matterport" / "connectivity")
    here = Building(graph, None).find("a4").location
    assert here is not None
    rounded = graph.positions[graph.index("a4")].astype(np.float32)
    assert [here.x, here.y, here.z] == rounded.tolist()
    assert [here.x, here.y, here.z] != graph.positions[graph.index("a4")].tolist()
