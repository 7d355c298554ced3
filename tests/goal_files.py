"""Small annotation files of REVERIE, SOON, CVDN and object goals in their published forms."""

import json
import math

import numpy as np

from clipnav.storage.features.objects import Objects, write_objects


def write_goal_annotations(data_dir):
    """Write a training split and one for validation of each dataset into the tiny world."""
    for scan, letter, split in (("attic", "a", "train"), ("barn", "b", "val_unseen")):
        numbers = [*range(9), 10] if letter == "a" else range(6)
        paths = [[0, 1, 2, 5], [2, 1, 0, 3], [6, 7, 8]] if letter == "a" else [[0, 1, 2], [5, 4]]
        paths = [[f"{letter}{i}" for i in path] for path in paths]
        write(data_dir / "reverie" / f"REVERIE_{split}.json", reverie_items(scan, paths))
        boxes = reverie_boxes([f"{letter}{i}" for i in numbers], paths)
        for viewpoint, objects in boxes.items():
            name = data_dir / "reverie" / "BBox" / f"{scan}_{viewpoint}.json"
            write(name, {viewpoint: objects})
        lines = soon_items(scan, paths)
        text = "".join(json.dumps(line) + "\n" for line in lines)
        write(data_dir / "soon" / f"{split}_enc_pseudo_obj_label.jsonl", text)
        write(data_dir / "cvdn" / f"{split}.json", cvdn_items(scan, paths))
        write(data_dir / "objectnav" / split / f"{scan}.json", object_items(scan, paths))


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def reverie_items(scan, paths):
    return [
        {
            "id": f"{10 + n}_{7 + n}",
            "scan": scan,
            "path": path,
            "heading": 0.5 * n,
            "path_id": 10 + n,
            "objId": 7 + n,
            "instructions": ["Dust the red vase.", "Go and dust off the vase."],
            "distance": 5.0,
            "ix": n,
            "instructions_l": ["Walk on."],
        }
        for n, path in enumerate(paths)
    ]


def reverie_boxes(viewpoints, paths):
    """Boxes of which each object is seen from the last two viewpoints of its path."""
    box = {"name": "vase#/", "visible_pos": [3, 14], "bbox2d": [[1, 2, 30, 40], [5, 6, 7, 8]]}
    unseen = {"name": "vase#/", "visible_pos": [], "bbox2d": []}
    return {
        viewpoint: {
            str(7 + n): box if viewpoint in path[-2:] else unseen for n, path in enumerate(paths)
        }
        for viewpoint in viewpoints
    }


def soon_items(scan, paths):
    return [
        {
            "path_id": f"{20 + n}-{n}",
            "scan": scan,
            "path": path,
            "bboxes": [
                {"image_id": viewpoint, "target": soon_box(6.2), "pseudo_label": None}
                for viewpoint in path[:-3:-1]
            ],
            "instructions": [{"1_object": "A vase.", "full": "A red vase on a shelf."}],
            "instr_encodings": [{"full": [1, 2]}],
        }
        for n, path in enumerate(paths)
    ]


def soon_box(heading, elevation=0.1, width=0.4, height=0.3):
    """Box around a direction in radians; headings of corners are in [0, 2 pi)."""
    left, right = ((heading + side * width / 2) % math.tau for side in (-1, 1))
    top, bottom = (elevation + side * height / 2 for side in (1, -1))
    names = {
        "center": (heading, elevation),
        "left_top": (left, top),
        "right_top": (right, top),
        "right_bottom": (right, bottom),
        "left_bottom": (left, bottom),
    }
    return {name: {"heading": h, "elevation": e} for name, (h, e) in names.items()}


def cvdn_items(scan, paths):
    history = [
        {"nav_idx": 0, "role": "navigator", "message": "Left or right?"},
        {"nav_idx": 0, "role": "oracle", "message": "Go left, then stop"},
    ]
    return [
        {
            "inst_idx": 30 + n,
            "scan": scan,
            "target": "vase",
            "start_pano": {"heading": 0.3 * n, "elevation": 0.0, "pano": path[0]},
            "nav_camera": [],
            "dialog_history": history[: 2 * n],
            "nav_history": path[:1],
            "game_idx": n,
            "end_panos": path[-2:],
            "player_path": path,
            "planner_path": path[:2],
        }
        for n, path in enumerate(paths)
    ]


def object_items(scan, paths):
    seen = sorted({viewpoint for path in paths for viewpoint in path[-2:]})
    objects = {f"{scan}.glb_chair": [{"object_id": 1}, {"all_observation_viewpoint_ids": seen}]}
    episodes = [
        {
            "episode_id": n,
            "scene_id": f"mp3d/{scan}/{scan}.glb",
            "goals_key": f"{scan}.glb_chair",
            "path": path,
        }
        for n, path in enumerate(paths)
    ]
    return [objects, *episodes]


def write_targets(path, scans):
    """Write the objects 7 to 9 at each viewpoint of the tiny world."""
    keys = [f"{scan}_{scan[0]}{number}" for scan in scans for number in range(9)]
    boxes = np.full((3, 2), 0.1)
    part = Objects(["7", "8", "9"], [""] * 3, np.ones((3, 4)), boxes, boxes)
    write_objects(path, keys, [part] * len(keys), {})
