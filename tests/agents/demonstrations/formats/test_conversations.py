"""LLaVA's records and the variant with roles."""

import json
from itertools import groupby

import numpy as np
import pytest
from PIL import Image

from clipnav.agents.demonstrations.export import check_export
from clipnav.agents.demonstrations.formats.conversations import read
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.envs.episodes import load_episodes
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.worlds import world_files


@pytest.mark.parametrize("name", ["llava", "messages"])
@pytest.mark.parametrize("strategy", ["plain", "mapgpt"])
def test_an_export_is_read_back(exported, pictured_world, name, strategy):
    folder = exported(format=name, prompt=PromptConfig(strategy, image_size=32))
    episodes = load_episodes("r2r", "train", world_files("matterport", pictured_world))
    decisions = read(folder, (32, 32))
    walks = {
        instr_id: list(own)
        for instr_id, own in groupby(decisions, lambda each: each.id.rpartition("_")[0])
    }
    assert list(walks) == [episode.instr_id for episode in episodes]
    for episode in episodes:
        own = walks[episode.instr_id]
        assert [each.id for each in own] == [f"{episode.instr_id}_{n}" for n in range(len(own))]
        assert len(own) >= len(episode.path)  # paths may skip viewpoints
        assert json.loads(own[-1].answer) == {"action": "A"}
        assert all(episode.instruction in decision.prompt for decision in own)
        assert len(own[0].pictures) == len(own[0].options) - 1
    assert check_export(folder).startswith(f"{folder}: {name} is correct: {len(decisions)} records")


def test_records_have_the_keys_of_each_variant(exported, tmp_path):
    llava = json.loads((exported() / "annotations.json").read_text())[0]
    turns = llava["conversations"]
    assert [turn["from"] for turn in turns] == ["human", "gpt"]
    assert turns[0]["value"].count("<image>") == len(llava["image"])
    folder = exported(format="messages", output=tmp_path / "messages")
    messages = json.loads((folder / "annotations.json").read_text())[0]
    assert [m["role"] for m in messages["messages"]] == ["system", "user", "assistant"]
    assert messages["images"] == llava["image"]
    task, text = (message["content"] for message in messages["messages"][:2])
    assert turns[0]["value"] == f"{task}\n\n{text}"


def test_the_picture_of_an_option_shows_its_direction(exported, pictured_world):
    """Colours of the skyboxes are 127.5 + 127 times the direction."""
    graph = NavGraph.load("attic", pictured_world / "matterport" / "connectivity")
    folder = exported()
    record = json.loads((folder / "annotations.json").read_text())[0]
    letter = json.loads(record["conversations"][1]["value"])["action"]
    picture = np.asarray(Image.open(folder / record["image"]["BCDEFG".index(letter)]))
    offset = graph.positions[graph.index("a1")] - graph.positions[graph.index("a0")]
    offset[2] = 0  # pictures are level
    expected = 127.5 + 127 * offset / np.linalg.norm(offset)
    assert picture.shape == (32, 32, 3)
    np.testing.assert_allclose(picture[15:17, 15:17].mean((0, 1)), expected, atol=6)


def test_rxr_has_all_languages_or_one(exported, tmp_path):
    records = json.loads((exported(dataset="rxr") / "annotations.json").read_text())
    assert {record["language"] for record in records} == {"en-IN", "hi-IN"}
    assert any("दरवाज़े" in record["conversations"][0]["value"] for record in records)
    folder = exported(dataset="rxr", instruction_language="hi", output=tmp_path / "hi")
    records = json.loads((folder / "annotations.json").read_text())
    assert {record["language"] for record in records} == {"hi-IN"}


def _without_answer(record):
    record["conversations"][1]["value"] = "go left"


def _other_option(record):
    record["conversations"][1]["value"] = '{"action": "Z"}'


def _more_markers(record):
    record["conversations"][0]["value"] += " <image>"


def _gpt_first(record):
    record["conversations"].reverse()


def _outside(record):
    record["image"][0] = "../secret.jpg"


def _missing(record):
    record["image"][0] = "images/none.jpg"


def _unknown_key(record):
    record["goal"] = "a1"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (_without_answer, "the answer: not valid JSON"),
        (_other_option, "is none of A, B"),
        (_more_markers, "markers <image> for"),
        (_gpt_first, "the turns are gpt, human"),
        (_outside, "is not the name of a file inside"),
        (_missing, "none.jpg is missing"),
        (_unknown_key, "unknown field"),
    ],
)
def test_a_damaged_record_is_named_in_one_line(exported, change, problem):
    folder = exported()
    path = folder / "annotations.json"
    records = json.loads(path.read_text())
    change(records[3])
    path.write_text(json.dumps(records))
    with pytest.raises(ValueError, match=problem) as caught:
        read(folder)
    message = str(caught.value)
    assert message.startswith(f"{path}: record 3")
    assert "\n" not in message


def test_a_damaged_picture_is_named(exported):
    folder = exported()
    victim = json.loads((folder / "annotations.json").read_text())[0]["image"][0]
    (folder / victim).write_bytes(b"no picture")
    with pytest.raises(ValueError, match=victim):
        read(folder)
    Image.new("RGB", (8, 8)).save(folder / victim)
    with pytest.raises(ValueError, match="8 x 8 pixels instead of 32 x 32"):
        check_export(folder)


def test_a_record_that_occurs_twice_is_named(exported):
    folder = exported()
    path = folder / "annotations.json"
    records = json.loads(path.read_text())
    path.write_text(json.dumps([*records, records[0]]))
    with pytest.raises(ValueError, match=f"record {len(records)} .*its id occurs twice"):
        read(folder)
