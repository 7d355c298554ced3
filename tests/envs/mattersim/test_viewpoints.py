import math

import numpy as np

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.mattersim.viewpoints import Building


def test_a_neighbour_straight_above_is_navigable_only_without_restriction():
    records = [
        {
            "image_id": name,
            "included": True,
            "pose": [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, height, 0, 0, 0, 1],
            "height": 1.5,
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
