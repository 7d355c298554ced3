"""Answers in space: parsing, the walks to pixels and waypoints, and an oracle of the labels."""

import base64
import io
import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from clipnav.agents.language_models.evaluation.evaluating import balanced_subset, prepare
from clipnav.agents.language_models.models.bodies import with_format
from clipnav.agents.language_models.models.replies import ModelQuestion, Reply
from clipnav.agents.language_models.prompts.observations import Option
from clipnav.agents.language_models.prompts.parsing import parse_answer
from clipnav.agents.language_models.prompts.points import PointForm
from clipnav.agents.language_models.settings import EvaluateVlmConfig, PromptConfig, ServerConfig
from clipnav.agents.language_models.strategies import steps_prompt
from clipnav.agents.language_models.walks.asking import WalkSettings
from clipnav.agents.language_models.walks.continuous import ContinuousVlmWalkMaker
from clipnav.agents.language_models.walks.running import Finished
from clipnav.commands.agents.vlm_walks import write_traces
from clipnav.envs.continuous.episodes import split_of_episodes
from clipnav.envs.continuous.sensors import camera_rays
from clipnav.envs.continuous.settings import task_settings
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.navigation.vector_env import split_objects
from clipnav.envs.panoramas.cameras import camera_turn
from clipnav.envs.pictures.view_pictures import ViewPose
from clipnav.envs.tokenizers import WordTokenizer
from clipnav.viewer.trace import read_traces
from tests.agents.language_models.conftest import read_results
from tests.agents.language_models.servers import Oracle, draw_colour, user_parts, user_text
from tests.envs.continuous.conftest import BoxSimulator, box_episodes


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


PIXEL, WAYPOINTS = PointForm("pixel", (48, 64)), PointForm("waypoints", (48, 64))
OPTIONS = (Option("A", 0, words="stop here"), Option("B", 1, words="move forward 25 cm"))


@pytest.mark.parametrize(
    ("form", "text", "points"),
    [
        (PIXEL, '{"thought": "a door", "action": [12, 40]}', ((12, 40),)),
        (PIXEL, '{"action": "12, 40"}', ((12, 40),)),
        (PIXEL, "12 40", ((12, 40),)),
        (PIXEL, "[12.0, 40.0]", ((12, 40),)),
        (
            WAYPOINTS,
            '{"action": [[0.25, 0, 0], [0.5, -0.1, -0.4]]}',
            ((0.25, 0, 0), (0.5, -0.1, -0.4)),
        ),
        (WAYPOINTS, json.dumps([[1.125, -0.375, 0.125]] * 8), ((1.125, -0.375, 0.125),) * 8),
    ],
)
def test_points_are_read(form, text, points):
    answer = parse_answer(text, OPTIONS, points=form)
    assert (answer.kind, answer.option and answer.option.points) == ("valid", points)


@pytest.mark.parametrize("form", [PIXEL, WAYPOINTS])
def test_labels_are_still_read(form):
    assert parse_answer('{"action": "B"}', OPTIONS, points=form).option == OPTIONS[1]


def test_waypoints_of_zeros_stop():
    text = json.dumps({"action": [[0, 0, 0]] * 8})
    assert parse_answer(text, OPTIONS, points=WAYPOINTS).option == OPTIONS[0]


@pytest.mark.parametrize(
    ("form", "value", "problem"),
    [
        (PIXEL, [64, 3], "pixel 64 3 is outside the picture of 64 x 48"),
        (PIXEL, "-1 3", "pixel -1 3 is outside"),
        (PIXEL, [1, 2, 3], r"neither an option nor a pixel \[x, y\]"),
        (PIXEL, [True, 2], "neither an option nor a pixel"),
        (PIXEL, "the door", "not one of the options"),
        (WAYPOINTS, [], r"neither an option nor a list of 1 to 8 waypoints \[x, y, theta\]"),
        (WAYPOINTS, [[0.25, 0]], "neither an option nor a list"),
        (WAYPOINTS, [[0.25, 0, 0]] * 9, "neither an option nor a list"),
        (WAYPOINTS, [0.25, 0, 0], "neither an option nor a list"),
        (WAYPOINTS, [[0, 11, 0]], "more than 10 m away"),
    ],
)
def test_malformed_points_are_invalid_answers(form, value, problem):
    answer = parse_answer(json.dumps({"action": value}), OPTIONS, points=form)
    assert (answer.kind, answer.option) == ("invalid", None)
    assert re.search(problem, answer.problem)


def test_schemas_allow_points_and_labels():
    question = ModelQuestion((), ("A", "B"), PIXEL)
    schema = with_format({}, "schema", question)["response_format"]["json_schema"]["schema"]
    labels, points = schema["properties"]["action"]["anyOf"]
    assert labels["enum"] == ["A", "B"]
    assert points == {"type": "array", "items": {"type": "integer"}}


class FloorSimulator(BoxSimulator):
    """The two buildings without walls in the pictures: depth is that of the floor."""

    def draw(self, scans, positions, headings, tilts, sensors):
        drawn = super().draw(scans, positions, headings, tilts, sensors)
        if "depth" in drawn:
            level = camera_rays(self.settings.depth_size, self.settings.hfov)
            for row, pose in enumerate(zip(headings, tilts, strict=True)):
                down = -(level @ camera_turn(*pose).T)[:, 2]
                length = np.where(
                    down > 1e-3, self.settings.camera_height / np.maximum(down, 1e-3), 0
                )
                drawn["depth"][row] = (length * level[:, 1]).reshape(self.settings.depth_size)
        return drawn


@pytest.fixture
def make_point_maker():
    """Function that returns a maker of walks with answers in space, in the two buildings."""

    def make(answers, follower="geodesic", **settings):
        size = (96, 96)
        task = task_settings("r2r", rgb_size=size, depth_size=size, observe=("rgb",), shuffle=False)
        episodes = box_episodes()
        tokenizer = WordTokenizer.build([e.instruction for e in episodes], min_count=1)
        split = split_of_episodes("r2r", episodes, tokenizer, 12)
        walks = WalkSettings(PromptConfig(), answers=answers, follower=follower, **settings)
        return ContinuousVlmWalkMaker(split, steps_prompt, walks, task, FloorSimulator(task))

    return make


def spoken(option):
    """Answer of a model that chooses an option."""
    points = [list(row) for row in option.points]
    action = option.label if not points else points[0] if len(points[0]) == 2 else points
    return Reply(json.dumps({"action": action}))


def answered_walks(maker):
    """Walks of an oracle that answers the labels in words."""
    for episode in maker.split.episodes:
        walk = maker.start(episode.instr_id)
        while walk.question is not None:
            walk.receive(spoken(walk.teacher_option()))
        yield walk


@pytest.mark.parametrize("answers", ["pixel", "waypoints"])
def test_an_oracle_that_answers_the_labels_reaches_every_goal(make_point_maker, answers):
    walks = list(answered_walks(make_point_maker(answers)))
    assert [walk.measures["success"] for walk in walks] == [1.0] * 4
    assert all(walk.measures["distance_to_goal"] < 1 for walk in walks)
    chosen = [decision.option for walk in walks for decision in walk.decisions]
    assert {decision.kind for walk in walks for decision in walk.decisions} == {"valid"}
    assert sum(bool(option.points) for option in chosen) >= 6


def test_a_pixel_leads_to_the_place_that_it_shows(make_point_maker):
    walk = make_point_maker("pixel").start("0_0")  # at (1, 1), looks north, 2 m from the wall
    walk.receive(
        Reply('{"action": [48, 48]}')
    )  # the middle of a picture that looks 30 degrees down
    ahead = 1.25 / np.tan(np.radians(30))
    assert walk.pose[1] == pytest.approx(min(1 + ahead, 3), abs=0.3)
    assert walk.pose[0] == pytest.approx(1, abs=0.1)
    text = "\n".join(part for part in walk.question.prompt[1].parts if isinstance(part, str))
    assert "Decision 1: go to pixel 48 48: moved 2.00 m" in text
    assert "x from 0 to 95 and y from 0 to 95" in text
    walk.receive(Reply("0 0"))
    assert walk.question is not None


@pytest.mark.parametrize("follower", ["geodesic", "straight"])
def test_waypoints_lead_to_the_last_one_and_its_direction(make_point_maker, follower):
    walk = make_point_maker("waypoints", follower).start("0_0")
    walk.receive(Reply(json.dumps([[0.5, 0, 0], [1, 0, 0], [1, -1, -1.57], [1, -2, -1.57]])))
    assert walk.pose[:2] == pytest.approx((3, 2), abs=0.3)
    assert np.degrees(walk.pose[3]) == pytest.approx(90, abs=8)


def test_only_the_geodesic_follower_walks_around_a_corner(make_point_maker):
    places = {}
    for follower in ("geodesic", "straight"):
        walk = make_point_maker("waypoints", follower).start("2_0")  # in the L, looks south
        walk.receive(Reply("[[-5.9, 3, 0]]"))  # 5.9 m north and 3 m east, behind the corner
        places[follower] = walk.pose[:2]
    assert places["geodesic"] == pytest.approx((4, 6.9), abs=0.3)
    assert places["straight"][0] < 2.3


def test_malformed_answers_are_counted_and_asked_again(make_point_maker):
    walk = make_point_maker("pixel").start("0_0")
    walk.receive(Reply('{"action": [500, 3]}'))
    repaired = walk.question.prompt[-1].parts[0]
    assert "pixel 500 3 is outside the picture of 96 x 96" in repaired
    assert "or a pixel [x, y] of the look-down picture" in repaired
    walk.receive(Reply('{"action": [500, 3]}'))
    assert (walk.ending, walk.decisions[0].kind) == ("invalid", "invalid")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"answers": "pixel"}, "--answers.* only with --environment continuous"),
        (
            {"environment": "continuous", "follower": "straight"},
            "--follower.* with --answers motions",
        ),
        (
            {
                "environment": "continuous",
                "answers": "pixel",
                "prompt": PromptConfig(pictures="none"),
            },
            "--answers pixel requires pictures",
        ),
        (
            {
                "environment": "continuous",
                "answers": "waypoints",
                "server": ServerConfig(answer_format="schema"),
            },
            "chooses among labels only",
        ),
    ],
)
def test_settings_without_effect_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        EvaluateVlmConfig(local_model="x", **settings)


def test_the_row_of_a_model_names_answers_and_follower():
    config = EvaluateVlmConfig(
        local_model="x", environment="continuous", answers="pixel", follower="straight"
    )
    assert config.model_name == "x (pixel, straight follower)"
    assert config.run_name == "vlm-x-continuous-pixel-straight-val_unseen"


@pytest.mark.long
@pytest.mark.parametrize("answers", ["pixel", "waypoints"])
def test_an_oracle_reaches_every_goal_in_the_houses(answers):
    """CLIPNAV_ORACLE_EPISODES is the number of episodes, by default 8."""
    count = int(os.environ.get("CLIPNAV_ORACLE_EPISODES", "8"))
    config = EvaluateVlmConfig(
        local_model="x",
        environment="continuous",
        answers=answers,
        episodes=count,
        prompt=PromptConfig(image_size=96),
    )
    walks = list(answered_walks(prepare(config).maker))
    failed = [walk.instr_id for walk in walks if not walk.measures["success"]]
    assert failed == []
