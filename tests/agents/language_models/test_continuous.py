"""Agents in continuous space: options, history, pictures, and an oracle that reads the prompt."""

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from clipnav.agents.language_models.evaluation.evaluating import (
    VlmExperiment,
    prepare,
    run_experiment,
)
from clipnav.agents.language_models.models.replies import Reply
from clipnav.agents.language_models.prompts.pictures import PromptPictures
from clipnav.agents.language_models.prompts.steps import make_motions, step_options
from clipnav.agents.language_models.settings import EvaluateVlmConfig, PromptConfig
from clipnav.envs.continuous.settings import RXR_CE, task_settings
from tests.agents.language_models.servers import user_parts, user_text


def experiment_of(maker, server, folder, houses, **settings):
    config = EvaluateVlmConfig(
        url=server.url,
        environment="continuous",
        concurrency=2,
        output=folder / "run",
        cache=folder / "cache",
        **{"model": "oracle", **settings},
    )
    return VlmExperiment(config, houses, maker, PromptPictures(), config.output)


def answer(label):
    return Reply(json.dumps({"action": label, "plan": "on"}))


def test_motions_are_those_of_the_task():
    words = [motion.words for motion in make_motions(task_settings("r2r"), 3)]
    assert words[:5] == [
        *("stop here", "move forward 25 cm", "move forward 50 cm", "move forward 75 cm"),
        "turn left 15 degrees",
    ]
    assert words[-1] == "turn right 45 degrees"
    assert make_motions(RXR_CE, 2)[-1].words == "turn right 60 degrees"
    with pytest.raises(ValueError, match=r"28 options.*--most-repeats"):
        step_options(make_motions(task_settings("r2r"), 9), True, "letters")


def test_a_decision_carries_out_equal_steps(make_maker):
    walk = make_maker().start("0_0")
    walk.receive(answer("J"))  # turn right 45 degrees
    walk.receive(answer("J"))
    walk.receive(answer("D"))  # move forward 75 cm
    assert walk.pose == pytest.approx((1.75, 1.0, 0.0, np.pi / 2), abs=1e-9)
    assert walk._history == ["turn right 45 degrees"] * 2 + ["move forward 75 cm"]
    walk.receive(answer("A"))
    assert walk.ending == "stopped"
    assert walk.measures["steps_taken"] == 10
    assert len(walk.trace.positions) == 1 + 10


def test_a_blocked_step_ends_the_motion_and_is_reported(make_maker):
    walk = make_maker(sliding=False).start("0_0")  # looks north, 2 m from the wall
    for _ in range(4):
        walk.receive(answer("D"))
    text = walk.question.prompt[1].parts[0]
    lines = re.findall(r"^Decision \d: move forward 75 cm(.*)$", text, re.M)
    assert lines == ["", "", ", blocked after 50 cm", ", blocked after 0 cm"]


def test_pictures_keep_the_numbers_of_their_decisions_after_a_stay(make_maker):
    maker = make_maker()
    maker.settings = replace(maker.settings, on_invalid="stay", answer_retries=0)
    walk = maker.start("0_0")
    walk.receive(answer("D"))
    walk.receive(answer("?"))
    walk.receive(answer("J"))
    assert walk._history == ["move forward 75 cm", "stayed", "turn right 45 degrees"]
    observation = walk._observe()
    numbers, photos = zip(*observation.past_photos(), strict=True)
    assert numbers == (0, 1, 2)
    assert photos[2] is photos[1]
    assert len({id(photo) for photo in observation.photos}) == 3


def expert_labels(maker):
    """Labels of the expert's decisions by instruction."""
    labels = {}
    for episode in maker.split.episodes:
        walk = maker.start(episode.instr_id)
        own = labels.setdefault(episode.instruction, [])
        while walk.question is not None:
            action = walk.teacher_action()
            own.append(walk.question.labels[action])
            walk.take(action)
    return labels


@pytest.mark.long
def test_an_oracle_that_reads_the_prompt_reaches_every_goal(
    make_maker, serve, tmp_path, houses, monkeypatch
):
    maker = make_maker()
    labels = expert_labels(maker)
    faults = []

    def oracle(body):
        text, parts = user_text(body), user_parts(body)
        number = int(re.findall(r"^Decision (\d+); the walk", text, re.M)[0])
        pictures = [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]
        past = re.findall(r"Picture at decision \d+:", text)
        if len(pictures) != len(past) + 1 or len(past) != min(8, number - 1):
            faults.append(f"{len(pictures)} pictures at decision {number}")
        image = Image.open(io.BytesIO(base64.b64decode(pictures[-1].partition(",")[2])))
        if image.size != (16, 16):
            faults.append(f"size {image.size}")
        own = labels[re.findall("^Instruction: (.*)$", text, re.M)[0]]
        return json.dumps({"action": own[number - 1]})

    with serve(oracle) as server:
        server.models = ["org/expert"]
        experiment = experiment_of(maker, server, tmp_path, houses, model="org/expert")
        assert run_experiment(experiment) == 0
        sent = len(server.requests)
        assert run_experiment(experiment) == 0
        assert len(server.requests) == sent
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    scores = results["results"]["val_unseen"]
    assert faults == []
    assert scores["expert (model)"]["SR"] == 1.0
    assert scores["expert (model)"] == scores["expert"]
    assert set(scores) == {"expert (model)", "random", "forward", "expert"}
    words = {json.loads(line)["words"] for line in (tmp_path / "run" / "requests.jsonl").open()}
    assert {"stop here", "move forward 25 cm"} <= words
    text = "".join(json.dumps(body["messages"][0]) + user_text(body) for body in server.requests)
    assert not re.findall("teacher|distance_to_goal|metric|position|hall_|geodesic", text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dataset": "r4r"}, "'r4r' has no continuous walks"),
        ({"prompt": PromptConfig("mapgpt")}, "there are no candidates and no map"),
        ({"runs": ("runs/x",)}, "agents on graphs"),
    ],
)
def test_settings_of_graphs_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        EvaluateVlmConfig(local_model="x", environment="continuous", **settings)


def test_a_world_without_floors_is_refused(tiny_world):
    config = EvaluateVlmConfig(
        local_model="x",
        environment="continuous",
        world="matterport",
        data_dir=tiny_world,
        episodes=2,
    )
    with pytest.raises(ValueError, match="matterport has no floors and no cameras"):
        prepare(config)
