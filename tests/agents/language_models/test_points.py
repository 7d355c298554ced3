"""Answers in space: parsing, the walks to pixels and waypoints, and an oracle of the labels."""

import json
import os
import re

import numpy as np
import pytest

from clipnav.agents.language_models.evaluation.evaluating import prepare
from clipnav.agents.language_models.models.bodies import with_format
from clipnav.agents.language_models.models.replies import Question, Reply
from clipnav.agents.language_models.prompts.observations import Option
from clipnav.agents.language_models.prompts.parsing import parse_answer
from clipnav.agents.language_models.prompts.points import PointForm
from clipnav.agents.language_models.settings import (
    EvaluateVlmConfig,
    PromptConfig,
    ServerConfig,
)
from clipnav.agents.language_models.strategies import steps_prompt
from clipnav.agents.language_models.walks.asking import WalkSettings
from clipnav.agents.language_models.walks.continuous import ContinuousWalkMaker
from clipnav.envs.continuous.episodes import split_of_episodes
from clipnav.envs.continuous.sensors import camera_rays
from clipnav.envs.continuous.settings import task_settings
from clipnav.envs.panoramas.cameras import camera_turn
from clipnav.envs.tokenizers import WordTokenizer
from tests.envs.continuous.conftest import BoxSimulator, box_episodes

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
    question = Question((), ("A", "B"), PIXEL)
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
        return ContinuousWalkMaker(split, steps_prompt, walks, task, FloorSimulator(task))

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
