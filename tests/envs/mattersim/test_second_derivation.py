"""The simulator against a second derivation with one agent, neighbour and operation at a time."""

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

import clipnav.envs.mattersim
from clipnav.connectivity import read_connectivity
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.mattersim.viewpoints import Building

angles = st.floats(-20.0, 20.0)


@st.composite
def graphs(draw):
    """Draw a building of up to 9 viewpoints, some excluded, coincident or above each other."""
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
                "height": 1.5,
                "unobstructed": [(i, j) in edges or (j, i) in edges for j in range(count)],
            }
        )
    return records


def expected_locations(records, here, heading, elevation, half_field):
    """Return rows (ix, rel_heading, rel_elevation, rel_distance), computed one at a time.

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
    # Insertion sort, as std::sort on short lists: a later row is inserted before greater ones.
    ordered = []
    for row in rows:
        position = len(ordered)
        while position and offset(row) < offset(ordered[position - 1]):
            position -= 1
        ordered.insert(position, row)
    return [(here, 0.0, 0.0, 0.0), *ordered]


def offset(row):
    return math.sqrt(row[1] * row[1] + row[2] * row[2])


@settings(max_examples=100, deadline=None)
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


class ExpectedAgent:
    """One agent of a simulator, by a direct implementation of the documented rules."""

    def __init__(self, graphs, camera, discretized, restricted, limits):
        self.graphs = graphs
        width, height, vfov = camera
        self.half_field = vfov * width / height / 2.0 if restricted else None
        self.discretized = discretized
        self.limits = limits

    def start(self, scan, ix, heading, elevation):
        self.scan, self.ix, self.step = scan, ix, 0
        self.look(heading, elevation)

    def look(self, heading, elevation):
        heading = heading % (2 * math.pi)
        low, high = self.limits
        if self.discretized:
            steps = math.floor(heading / (math.pi / 6) + 0.5) % 12
            band = 1 + (elevation > math.pi / 12) - (elevation < -math.pi / 12)
            heading, elevation = steps * (2 * math.pi / 12), (band - 1) * (math.pi / 6)
            self.view = 12 * band + steps
        else:
            elevation = low if elevation < low else high if elevation > high else elevation
            self.view = 0
        self.heading, self.elevation = heading, elevation
        self.locations = expected_locations(
            self.graphs[self.scan], self.ix, heading, elevation, self.half_field
        )

    def act(self, index, turn, tilt):
        self.ix = self.locations[index][0]
        self.step += 1
        if self.discretized:
            turn, tilt = np.sign(turn) * (math.pi / 6), np.sign(tilt) * (math.pi / 6)
        self.look(self.heading + float(turn), self.elevation + float(tilt))

    def facts(self):
        angles = self.heading, self.elevation
        return self.scan, self.ix, self.step, self.view, *angles, self.locations


def facts(state):
    locations = [
        (v.ix, v.rel_heading, v.rel_elevation, v.rel_distance) for v in state.navigableLocations
    ]
    return (
        state.scanId,
        state.location.ix,
        state.step,
        state.viewIndex,
        state.heading,
        state.elevation,
        locations,
    )


cameras = st.tuples(st.integers(1, 1000), st.integers(1, 1000), st.floats(0.1, 3.0))
turns = st.one_of(st.sampled_from([0.0, 1.0, -1.0]), st.floats(-7.0, 7.0))
# Target as a share of the navigable locations; turn; tilt.
actions = st.tuples(st.floats(0.0, 1.0, exclude_max=True), turns, turns)
starts = st.tuples(
    st.sampled_from([("attic", ix) for ix in range(9)] + [("barn", ix) for ix in range(6)]),
    angles,
    st.floats(-2.0, 2.0),
)


@settings(max_examples=80, deadline=None)
@given(st.data(), cameras, st.booleans(), st.booleans(), st.integers(1, 3))
def test_walks_of_a_batch_equal_a_second_derivation(
    tiny_graphs, data, camera, discretized, restricted, size
):
    limits = data.draw(st.tuples(st.floats(-1.5, -0.01), st.floats(0.01, 1.5)))
    simulator = clipnav.envs.mattersim.Simulator()
    simulator.setNavGraphPath(tiny_graphs)
    simulator.setRenderingEnabled(False)
    simulator.setDiscretizedViewingAngles(discretized)
    simulator.setRestrictedNavigation(restricted)
    simulator.setCameraResolution(*camera[:2])
    simulator.setCameraVFOV(camera[2])
    simulator.setElevationLimits(*limits)
    simulator.setBatchSize(size)
    simulator.initialize()

    graphs = {scan: read_connectivity(scan, tiny_graphs) for scan in ("attic", "barn")}
    agents = [ExpectedAgent(graphs, camera, discretized, restricted, limits) for _ in range(size)]
    poses = data.draw(st.lists(starts, min_size=size, max_size=size))
    scans, headings, elevations = (
        [s[0] for s, *_ in poses],
        [s[1] for s in poses],
        [s[2] for s in poses],
    )
    names = [graphs[scan][ix]["image_id"] for (scan, ix), *_ in poses]
    simulator.newEpisode(scans, names, headings, elevations)
    for agent, ((scan, ix), heading, elevation) in zip(agents, poses, strict=True):
        agent.start(scan, ix, heading, elevation)
    for _ in range(data.draw(st.integers(0, 6))):
        assert [facts(state) for state in simulator.getState()] == [a.facts() for a in agents]
        drawn = data.draw(st.lists(actions, min_size=size, max_size=size))
        chosen = [
            (int(share * len(agent.locations)), turn, tilt)
            for agent, (share, turn, tilt) in zip(agents, drawn, strict=True)
        ]
        simulator.makeAction(*map(list, zip(*chosen, strict=True)))
        for agent, action in zip(agents, chosen, strict=True):
            agent.act(*action)
    assert [facts(state) for state in simulator.getState()] == [a.facts() for a in agents]
