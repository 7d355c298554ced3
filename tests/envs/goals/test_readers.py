"""Readers of datasets with goals: published forms, versions, and files with mistakes."""

import json
import re
import shutil

import pytest

from clipnav.envs.episodes import load_episodes
from clipnav.envs.goals import reverie
from clipnav.envs.goals.cvdn import DialogGoal
from clipnav.envs.worlds import world_files

FILES = {
    "reverie": "reverie/REVERIE_train.json",
    "soon": "soon/train_enc_pseudo_obj_label.jsonl",
    "cvdn": "cvdn/train.json",
    "objectnav": "objectnav/train/attic.json",
}
BOX = "reverie/BBox/attic_a2.json"


@pytest.fixture
def own(tiny_world, tmp_path):
    return world_files("matterport", shutil.copytree(tiny_world, tmp_path / "world"))


def change(files, name, edit):
    """Change the items of a file, which may be JSON Lines."""
    path = files.annotations_dir / name
    text = path.read_text()
    items = [json.loads(line) for line in text.splitlines()]
    items = items if path.suffix == ".jsonl" else items[0]
    edit(items)
    lines = items if path.suffix == ".jsonl" else [items]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_goals_are_the_viewpoints_of_the_files(own):
    by_name = {name: load_episodes(name, "train", own) for name in FILES}
    first = {name: episodes[0] for name, episodes in by_name.items()}
    ids = {name: [e.instr_id for e in episodes] for name, episodes in by_name.items()}
    assert ids["reverie"] == ["10_7_0", "10_7_1", "11_8_0", "11_8_1", "12_9_0", "12_9_1"]
    assert ids["soon"] == ["20-0_0", "21-1_0", "22-2_0"]
    assert ids["cvdn"] == ["30", "31", "32"]
    assert ids["objectnav"] == ["attic_0", "attic_1", "attic_2"]
    goals = {name: episode.goal for name, episode in first.items()}
    # A box without a view is no view of the object.
    assert goals["reverie"].viewpoints == ("a2", "a5")
    assert (goals["reverie"].radius, goals["reverie"].object_id) == (0, "7")
    assert goals["soon"].viewpoints == ("a5", "a2")
    assert goals["cvdn"].viewpoints == ("a2", "a5")
    assert goals["objectnav"].viewpoints == ("a0", "a2", "a3", "a5", "a7", "a8")
    assert goals["objectnav"].category == "chair"
    assert first["objectnav"].instruction == "Find a chair."
    assert first["cvdn"].instruction == "The goal room contains a vase."
    assert by_name["cvdn"][1].instruction.endswith("Answer: Go left, then stop.")
    assert [e.goal.radius for e in (first["soon"], first["objectnav"])] == [None, None]


def test_duets_joined_boxes_equal_the_folder(own):
    episodes = load_episodes("reverie", "train", own)
    folder = own.annotations_dir / "reverie" / "BBox"
    joined = {
        f"{path.stem}": objects
        for path in folder.glob("*.json")
        for objects in json.loads(path.read_text()).values()
    }
    (folder.parent / "BBoxes.json").write_text(json.dumps(joined))
    shutil.rmtree(folder)
    assert load_episodes("reverie", "train", own) == episodes


def test_versions_of_reverie_are_told_apart(own):
    path = own.annotations("reverie", "train")
    assert reverie.version(path) == "v1"

    def second(items):
        for item in items:
            del item["distance"], item["ix"], item["instructions_l"]

    before = load_episodes("reverie", "train", own)
    change(own, FILES["reverie"], second)
    assert reverie.version(path) == "v2"
    assert load_episodes("reverie", "train", own) == before

    def encoded(items):
        for item in items:
            item["instr_encodings"] = [[1, 2], [3]]

    change(own, FILES["reverie"], encoded)
    path.rename(path.with_name("REVERIE_train_enc.json"))
    assert reverie.version(own.annotations("reverie", "train")) == "v2, of DUET"
    assert load_episodes("reverie", "train", own) == before


def test_test_splits_have_no_goals(own):
    folder = own.annotations_dir
    item = {"id": 5, "scan": "barn", "path": ["b0"], "heading": 0, "instructions": ["Go.", "On."]}
    (folder / "reverie" / "REVERIE_test.json").write_text(json.dumps([item]))
    dialog = {
        "inst_idx": 9,
        "scan": "barn",
        "target": "vase",
        "start_pano": {"heading": 1.5, "elevation": 0, "pano": "b0"},
        "dialog_history": [],
    }
    (folder / "cvdn" / "test_cleaned.json").write_text(json.dumps([dialog]))
    line = {"path_id": "7", "scan": "barn", "path": ["b0"], "instructions": [{"full": "A vase."}]}
    (folder / "soon" / "test_v2_enc.jsonl").write_text(json.dumps(line))
    episodes = load_episodes("reverie", "test", own)
    assert [e.instr_id for e in episodes] == ["5_0", "5_1"]
    episodes += load_episodes("cvdn", "test", own) + load_episodes("soon", "test_v2", own)
    assert not any(e.has_goal for e in episodes)
    assert {e.path for e in episodes} == {("b0",)}


def test_the_language_of_a_dialog_is_that_of_its_lines(own):
    def hindi(items):
        turns = [("navigator", "बाएँ?"), ("oracle", "बाएँ जाएँ")]
        history = [{"nav_idx": 0, "role": role, "message": text} for role, text in turns]
        items[0] |= {"target": "लैंप", "language": "hi-IN", "dialog_history": history}

    change(own, FILES["cvdn"], hindi)
    first = load_episodes("cvdn", "train", own)[0]
    text = "लक्ष्य वाले कमरे में लैंप है।\nप्रश्न: बाएँ?\nउत्तर: बाएँ जाएँ।"
    assert (first.language, first.instruction) == ("hi-IN", text)


def test_a_dialog_follows_the_player_if_the_planner_agrees(own):
    def untrusted(items):
        items[0]["planner_path"] = ["a0", "a3"]
        del items[1]["player_path"], items[1]["planner_path"]
        items[1] |= {"nav_steps": ["a5", "a2", "a1"], "nav_idx": 1}

    change(own, FILES["cvdn"], untrusted)
    first, second, third = load_episodes("cvdn", "train", own)
    assert first.path == ("a0", "a3")
    assert third.path == ("a6", "a7", "a8")
    # HAMT's files contain the navigator's whole path.
    assert isinstance(second.goal, DialogGoal)
    assert second.goal.player_path == second.path == ("a2", "a1")


def remove_boxes(files):
    shutil.rmtree(files.annotations_dir / "reverie" / "BBox")


def lose_boxes(files):
    (files.annotations_dir / BOX).unlink()


def misname_viewpoint(boxes):
    boxes["a3"] = boxes.pop("a2")


def join_boxes(files):
    (files.annotations_dir / "reverie" / "BBoxes.json").write_text('{"attic_zz": {}}')


MISTAKES = {
    "no boxes": ("reverie", None, remove_boxes, r"BBoxes\.json: the boxes .* are missing; put"),
    "lost boxes": (
        "reverie",
        None,
        lose_boxes,
        r"BBox: 1 of the 10 files of scan attic are missing, such as attic_a2\.json; .*again",
    ),
    "empty boxes": (
        "reverie",
        BOX,
        dict.clear,
        r"attic_a2\.json: has nothing instead of viewpoint a2; .*again",
    ),
    "boxes of another viewpoint": (
        "reverie",
        BOX,
        misname_viewpoint,
        r"attic_a2\.json: has a3 instead of viewpoint a2; .*again",
    ),
    "boxes outside the graph": (
        "reverie",
        None,
        join_boxes,
        r"BBoxes\.json: viewpoint zz is not in attic_connectivity\.json",
    ),
    "target without box": (
        "reverie",
        FILES["reverie"],
        lambda items: items[1].update(objId=99, id="11_99"),
        r"REVERIE_train\.json: record 1 \(id 11_99\): field 'objId': object 99 has no box in",
    ),
    "target without number": (
        "reverie",
        FILES["reverie"],
        lambda items: items[1].pop("objId"),
        r"record 1 \(id 11_8\): field 'objId' is missing",
    ),
    "boxes and views": (
        "reverie",
        BOX,
        lambda boxes: boxes["a2"]["7"]["bbox2d"].pop(),
        r"attic_a2\.json: viewpoint a2, object 7: 2 views but 1 boxes",
    ),
    "view": (
        "reverie",
        BOX,
        lambda boxes: boxes["a2"]["7"]["visible_pos"].append(36),
        r"attic_a2\.json: viewpoint a2: .*<= 35",
    ),
    "blank instruction": (
        "reverie",
        FILES["reverie"],
        lambda items: items[2].update(instructions=["Go.", " "]),
        r"record 2 \(id 12_9\): field 'instructions': instruction 1 is blank",
    ),
    "unknown viewpoint": (
        "soon",
        FILES["soon"],
        lambda items: items[1]["bboxes"][0].update(image_id="zz"),
        r"label\.jsonl: record 1 \(path_id 21-1\): field 'goal': .* no viewpoint 'zz'",
    ),
    "unreachable viewpoint": (
        "soon",
        FILES["soon"],
        lambda items: items[1]["bboxes"][0].update(image_id="a10"),
        r"record 1 \(path_id 21-1\): field 'goal': .*'a10' .*are not connected",
    ),
    "no end": (
        "soon",
        FILES["soon"],
        lambda items: items[2].update(bboxes=[]),
        r"record 2 \(path_id 22-2\): field 'bboxes' is empty",
    ),
    "blank message": (
        "cvdn",
        FILES["cvdn"],
        lambda items: items[1]["dialog_history"][1].update(message=""),
        r"train\.json: record 1 \(inst_idx 31\): field 'dialog_history': message 1 is blank",
    ),
    "role": (
        "cvdn",
        FILES["cvdn"],
        lambda items: items[1]["dialog_history"][1].update(role="dog"),
        r"train\.json: record 1.*dog",
    ),
    "language": (
        "cvdn",
        FILES["cvdn"],
        lambda items: items[1].update(language="fr"),
        r"train\.json: record 1.*fr",
    ),
    "no region": (
        "cvdn",
        FILES["cvdn"],
        lambda items: items[0].update(end_panos=[]),
        r"record 0 \(inst_idx 30\): field 'end_panos' is empty",
    ),
    "unknown region": (
        "cvdn",
        FILES["cvdn"],
        lambda items: items[0].update(end_panos=["b1"]),
        r"record 0 \(inst_idx 30\): field 'goal': .*no viewpoint 'b1'",
    ),
    "unobserved": (
        "objectnav",
        FILES["objectnav"],
        lambda items: items[1].update(goals_key="attic.glb_bed"),
        r"record 0 \(scan attic, episode_id 0\): field 'goals_key': no viewpoint observes 'attic",
    ),
    "only unreachable": (
        "objectnav",
        FILES["objectnav"],
        lambda items: items[0]["attic.glb_chair"][-1].update(all_observation_viewpoint_ids=["a10"]),
        r"field 'goals_key': no viewpoint observes",
    ),
    "objects": (
        "objectnav",
        FILES["objectnav"],
        lambda items: items[0]["attic.glb_chair"].pop(),
        r"attic\.json: objects, attic\.glb_chair: .*all_observation_viewpoint_ids",
    ),
}


@pytest.mark.parametrize("case", MISTAKES)
def test_mistakes_are_named_in_one_line(own, case):
    dataset, name, edit, message = MISTAKES[case]
    if name is None:
        edit(own)
    else:
        change(own, name, edit)
    with pytest.raises((ValueError, FileNotFoundError)) as caught:
        load_episodes(dataset, "train", own)
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)
