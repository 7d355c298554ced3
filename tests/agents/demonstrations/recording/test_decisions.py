"""Decisions as prompts: equal to those of an evaluation, and without secrets."""

import json

import pytest

from clipnav.agents.demonstrations.export import GraphSteps, teacher_walks
from clipnav.agents.demonstrations.formats.conversations import read
from clipnav.agents.demonstrations.recording.decisions import labelled_decisions
from clipnav.agents.demonstrations.recording.records import (
    RecordedCandidate,
    RecordedStep,
    RecordedWalk,
)
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.agents.language_models.strategies import make_strategy
from clipnav.agents.language_models.walks.asking import WalkSettings
from clipnav.agents.language_models.walks.running import VlmWalkMaker
from clipnav.envs.episodes.splits import load_split
from clipnav.envs.graphs.nav_world import NavWorld


@pytest.fixture(scope="module")
def attic(tiny_world):
    split = load_split("r2r", "train", "matterport", tiny_world, features="none")
    return split, NavWorld.load(["attic"], split.files.connectivity_dir)


def questions_along_the_teacher(split, instr_id, config):
    """Return the questions of an evaluation whose model answers as the teacher."""
    maker = VlmWalkMaker(split, make_strategy(config), WalkSettings(prompt=config))
    walk = maker.start(instr_id)
    questions = []
    while walk.question is not None:
        questions.append(walk.question)
        walk.take(walk.teacher_action())
    return questions


@pytest.mark.parametrize(
    "config",
    [
        PromptConfig(),
        PromptConfig("mapgpt"),
        PromptConfig(pictures="egocentric", egocentric_views=3, known_map=False),
        PromptConfig(pictures="none", labels="numbers", direction_words="words"),
        PromptConfig(option_order="clockwise", history_pictures=1),
    ],
)
def test_prompts_equal_those_of_an_evaluation(attic, config):
    split, world = attic
    walks = teacher_walks(world, split.episodes, "shortest", GraphSteps(world))
    for walk in walks:
        decisions = list(labelled_decisions(walk, 20, config))
        questions = questions_along_the_teacher(split, walk.instr_id, config)
        assert [decision.prompt for decision in decisions] == [q.prompt for q in questions]
        assert [decision.labels for decision in decisions] == [q.labels for q in questions]


def test_the_parts_of_a_record_equal_those_of_an_evaluation(attic, exported):
    """Texts and pictures of a message are divided as the local model of an evaluation gets them."""
    split, _ = attic
    config = PromptConfig(image_size=32)
    records = read(exported(format="messages", teacher="shortest", prompt=config))
    prompts = [
        question.prompt
        for episode in split.episodes
        for question in questions_along_the_teacher(split, episode.instr_id, config)
    ]
    assert len(records) == len(prompts)
    for record, (system, user) in zip(records, prompts, strict=True):
        assert record.system == "\n".join(map(str, system.parts))
        texts = [part for part in record.parts if isinstance(part, str)]
        assert texts == [part for part in user.parts if isinstance(part, str)]
        kinds = [isinstance(part, str) for part in record.parts]
        assert kinds == [isinstance(part, str) for part in user.parts]


def recorded(instruction="Go.", label=1, viewpoint="0123456789abcdef" * 2):
    candidate = RecordedCandidate(viewpoint[::-1], 0.0, 0.0, 2.0, 0.0)
    step = RecordedStep(
        (0.0, 0.0, 0.0), 0.0, label, 0, "teacher", viewpoint=viewpoint, candidates=(candidate,)
    )
    return RecordedWalk("1_0", 1, "attic", "en", instruction, (step,), True)


def test_prompts_contain_no_secret():
    walk = recorded()
    (decision,) = labelled_decisions(walk, 20, PromptConfig())
    text = " ".join(p for m in decision.prompt for p in m.parts if isinstance(p, str))
    step = walk.steps[0]
    for secret in (step.viewpoint, step.candidates[0].viewpoint, "teacher", "distance to"):
        assert secret not in text
    (stopping,) = labelled_decisions(recorded(label=0), 20, PromptConfig())
    assert stopping.prompt == decision.prompt
    assert (stopping.answer, decision.answer) == ('{"action": "A"}', '{"action": "B"}')


def test_instructions_add_no_marker_of_a_picture(exported, pictured_world, tmp_path):
    import shutil

    folder = tmp_path / "data"
    shutil.copytree(pictured_world, folder)
    path = folder / "r2r" / "R2R_train.json"
    records = json.loads(path.read_text())
    hostile = 'Go "left" <image> {now}\nand <image> दरवाज़े.'
    records[0]["instructions"] = [hostile, hostile]
    path.write_text(json.dumps(records))
    export = exported(data_dir=folder)
    first = read(export)[0]
    assert 'Go "left" [image] {now} and [image] दरवाज़े.' in first.prompt
