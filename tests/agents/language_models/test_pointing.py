"""Walks that end with a question about the object to point out."""

import base64
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from clipnav.agents.language_models.evaluation.evaluating import balanced_subset
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.agents.language_models.walks.running import Finished
from clipnav.commands.agents.vlm_walks import write_traces
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.navigation.vector_env import split_objects
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.viewer.trace import read_traces
from tests.agents.language_models.conftest import read_results
from tests.agents.language_models.servers import Oracle, draw_colour, user_parts, user_text


@pytest.fixture(scope="module")
def tasks():
    return load_split("reverie", "val_unseen", features="none")


class Pointer(Oracle):
    """Oracle that knows the direction of each target, and its crop by the colour of its picture."""

    def __init__(self, split, count, chooses_object=lambda label: label) -> None:
        # Two episodes of the whole split may have the same text.
        super().__init__(replace(split, episodes=balanced_subset(split.episodes, count, 0)))
        self._split, self._objects = split, split_objects(split)
        self._chooses_object = chooses_object
        self.counts = []

    def __call__(self, body) -> str:
        text = user_text(body)
        if "Objects around you:" not in text:
            return super().__call__(body)
        instruction = text.splitlines()[0].removeprefix("Instruction: ")
        episode = self._episodes[instruction]
        node = self._split.nav_world.node(episode.scan, episode.path[-1])
        index = self._objects.index(node, episode.goal.object_id)
        heading = float(self._objects.directions[node, index, 0])
        wanted = draw_colour(ViewPose(episode.scan, episode.path[-1], heading)).reshape(-1, 3)[0]
        pictures = [part for part in user_parts(body) if part["type"] == "image_url"]
        colours = []
        for part in pictures:
            data = part["image_url"]["url"].removeprefix("data:image/jpeg;base64,")
            colours.append(np.asarray(Image.open(io.BytesIO(base64.b64decode(data))), int)[0, 0])
        self.counts.append((len(pictures), int(self._objects.mask[node].sum())))
        far = np.abs(np.array(colours) - wanted.astype(int)).sum(1)
        label = self._chooses_object(str(1 + int(far.argmin())))
        return json.dumps({"thought": "this one", "plan": "", "action": label})


def test_the_object_is_chosen_by_its_crop_and_scored(tasks, serve, evaluate_with, tmp_path, capsys):
    pointer = Pointer(tasks, 8)
    with serve(pointer) as server:
        status, experiment, walks = evaluate_with(
            server.url, dataset="reverie", episodes=8, submission=tmp_path / "walks.json"
        )
    assert (status, pointer.faults) == (0, [])
    scores = read_results(experiment)["results"]["val_unseen"]["oracle"]
    assert (scores["SR"], scores["RGS"]) == (1.0, 1.0)
    assert "RGSPL" in capsys.readouterr().out
    assert all(shown == seen for shown, seen in pointer.counts)
    records = json.loads((tmp_path / "walks.json").read_text())
    assert all(str(one["predObjId"]) == one["instr_id"].split("_")[1] for one in records)
    traces = read_traces(write_traces(experiment, Finished(walks)))
    for trace in traces:
        stayed, last = trace.steps[-2:]
        assert (stayed.viewpoint, stayed.action, last.action) == (last.viewpoint, None, 0)
        assert [one.target for one in last.objects if one.pointed] == [True]
        fields = [part.vfov for part in last.model.prompt if part.viewpoint]
        assert len(fields) == len(last.objects)
        assert all(0.1 < field < 1.8 for field in fields)


@pytest.mark.parametrize(
    ("label", "policy", "answers"), [("?", "end", 0), ("?", "stay", 0), ("?", "first", 1)]
)
def test_an_unreadable_object_is_no_answer(tasks, serve, evaluate_with, label, policy, answers):
    with serve(Pointer(tasks, 2, lambda _: label)) as server:
        _, experiment, walks = evaluate_with(
            server.url, dataset="reverie", episodes=2, on_invalid=policy
        )
    assert read_results(experiment)["results"]["val_unseen"]["oracle"]["SR"] == 1.0
    for walk in walks.values():
        assert walk.ending == "stopped"
        assert (walk.answer is not None) == answers
        assert len(walk.decisions[-1].exchanges) == 2  # it is asked again once


def test_without_pictures_objects_have_names(tasks, serve, evaluate_with):
    def answer(body):
        text = user_text(body)
        return json.dumps({"action": "1" if "Objects around you:" in text else "A"})

    prompt = PromptConfig("navgpt", stop_after=0)
    with serve(answer) as server:
        _, _, walks = evaluate_with(
            server.url,
            dataset="reverie",
            episodes=4,
            prompt=prompt,
            draw=None,
            describe=lambda view: "a room",
        )
    asked = [walk for walk in walks.values() if walk.asks_object]
    assert asked
    objects = split_objects(tasks)
    for walk in asked:
        node = tasks.nav_world.node(walk.episode.scan, walk.pose[0])
        words = [option.words for option in walk.decisions[-1].observation.options]
        names = objects.names[node][objects.mask[node]]
        assert [one.partition(",")[0] for one in words] == list(names)
        assert walk.answer.object_id == objects.ids[node][objects.mask[node]][0]
    assert "image_url" not in json.dumps(server.requests)
