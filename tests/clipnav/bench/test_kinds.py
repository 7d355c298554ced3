"""Parts about pictures and parts for models behind a server."""

import copy
import json
import re

import numpy as np
import pytest

from clipnav.bench.answers import PictureItem
from clipnav.bench.entrants import entrant_of
from clipnav.bench.kinds import RunOptions
from clipnav.bench.results import run_suite, verify
from clipnav.bench.suites import FOLDER, Place, parse_suite
from clipnav.storage.errors import UserError
from tests.agents.language_models.servers import serving, user_text
from tests.clipnav.bench.conftest import SUITE
from tests.vl_tasks.conftest import write_shapes

HERE = "tests.clipnav.bench.test_kinds"
HEAD = SUITE.partition("[[parts]]")[0].replace("seeds = [0, 1]", "seeds = [0]")


def part(name, kind, dataset, split, metrics, more=""):
    listed = json.dumps(metrics)
    return (
        f'[[parts]]\nname = "{name}"\nkind = "{kind}"\ndataset = "{dataset}"\n'
        f'split = "{split}"\nmetrics = {listed}\n{more}\n'
    )


PICTURES = HEAD + "".join(
    [
        part("vqa/val", "answers", "vqa", "val", ["accuracy"]),
        part("snli-ve/val", "answers", "snli-ve", "val", ["accuracy"]),
        part("captions/val", "answers", "captions", "val", ["CIDEr-D", "ROUGE-L"]),
        part("reliability/val", "answers", "reliability", "val", ["phi10", "phi1", "coverage"]),
    ]
)


@pytest.fixture(scope="module")
def shapes(tmp_path_factory):
    return Place("matterport", write_shapes(tmp_path_factory.mktemp("shapes")))


class Looks:
    """Agent that names the colour of the middle of a picture."""

    def __init__(self, sure):
        self.sure = sure

    def answer(self, items):
        assert all(type(item) is PictureItem for item in items)
        return [(self.say(item), self.sure) for item in items]

    def say(self, item):
        from PIL import Image

        colour = np.asarray(Image.open(item.image))[24:40, 24:40].mean((0, 1))
        name = ("red", "green", "blue")[int(colour.argmax())]
        if "colour" in item.text:
            return name
        if item.text.startswith("it is"):
            return "entailment" if name in item.text else "contradiction"
        return f"a {name} square" if not item.text else "square"


def looks(task, seed):
    return Looks(0.9)


def doubts(task, seed):
    return Looks(0.1 if task.name.startswith("reliability") else 0.9)


@pytest.mark.parametrize(("agent", "coverage"), [("looks", 1.0), ("doubts", 0.0)])
def test_answers_about_pictures_are_scored_again(agent, coverage, shapes, tmp_path):
    suite, path = parse_suite(PICTURES, FOLDER), tmp_path / "result.json"
    entrant = entrant_of(f"{HERE}:{agent}")
    result = run_suite(suite, shapes, [entrant], RunOptions(batch_size=5), path)
    verify(path, suite, shapes)
    means = {
        name: {metric: figure.mean for metric, figure in record.figures.items()}
        for name, record in result.parts.items()
    }
    assert means["snli-ve/val"]["accuracy"] == 1  # it looks only at colours
    assert means["vqa/val"]["accuracy"] == pytest.approx(0.75)  # half of the shapes are squares
    assert means["captions/val"]["ROUGE-L"] > 0.5
    assert means["reliability/val"]["coverage"] == coverage
    wrong = 0.25
    phi = {
        name: coverage * (1 - wrong - cost * wrong) for name, cost in (("phi1", 1), ("phi10", 10))
    }
    assert {name: means["reliability/val"][name] for name in phi} == pytest.approx(phi)
    document = json.loads(path.read_text())
    document["parts"]["vqa/val"]["seeds"][0]["answers"][0]["text"] = "a whale"
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match=r"vqa/val, seed 0, episode \d+: accuracy is 1 in the file"):
        verify(path, suite, shapes)


def test_a_part_needs_an_agent(shapes, tmp_path):
    suite = parse_suite(PICTURES, FOLDER)
    entrants = [entrant_of(f"vqa={HERE}:looks")]
    with pytest.raises(UserError, match=r"no agent for snli-ve/val; name one, as snli-ve=AGENT"):
        run_suite(suite, shapes, entrants, RunOptions(), tmp_path / "result.json")


def walk_on(body):
    walked = re.findall(r"^Places walked: ([\d ]+)$", user_text(body), re.M)[0].split()
    return json.dumps({"action": "stop" if len(walked) > 2 else "B"})


@pytest.mark.parametrize("requests", [100, 10])
def test_a_model_walks_within_its_budget(requests, place, tmp_path, monkeypatch):
    monkeypatch.setenv("CLIPNAV_CACHE", str(tmp_path / "cache"))
    options = 'max_steps = 5\nepisodes = 6\noptions = { pictures = "none" }'
    text = HEAD + f"[budget]\nmax_requests = {requests}\n"
    text += part("r2r/val_unseen", "model", "r2r", "val_unseen", ["SR", "SPL"], options)
    suite, path = parse_suite(text, FOLDER), tmp_path / "result.json"
    prices = {"price_in": 1.0, "price_out": 10.0}
    with serving(walk_on) as server:
        entrant = entrant_of(f"vlm:{server.url}", "oracle")
        result = run_suite(
            *(suite, place, [entrant], RunOptions(requests=1, model="oracle", budget=prices), path)
        )
    verify(path, suite, place)
    (record,) = result.parts["r2r/val_unseen"].seeds
    finished = 6 if requests == 100 else 3
    assert record.usage["episodes"] == finished
    assert record.usage["cost"] == pytest.approx(3 * finished * (100 * 1 + 10 * 10) / 1e6)
    assert [len(walk) for walk in record.answers] == [3] * finished + [1] * (6 - finished)
    assert result.agent.kind == "vlm"


class Ahead:
    def start(self, observation, info):
        self.size, self.step = len(observation["instruction"]), 0

    def act(self, observation, info, active):
        self.step += 1
        return np.full(self.size, 1 if self.step < 10 else 0)


def ahead(task, seed):
    return Ahead()


class Peeks(Ahead):
    def act(self, observation, info, active):
        return info["teacher_action"]


def peeks(task, seed):
    return Peeks()


@pytest.mark.long
def test_continuous_walks_are_scored_again(tmp_path):
    more = "episodes = 1\nmax_steps = 20\noptions = { picture_size = 32 }"
    text = HEAD.replace("matterport", "houses")
    text += part("r2r-ce/val_unseen", "continuous", "r2r", "val_unseen", ["NE", "SR"], more)
    suite, path, place = parse_suite(text, FOLDER), tmp_path / "result.json", Place("houses")
    result = run_suite(suite, place, [entrant_of(f"{HERE}:ahead")], RunOptions(batch_size=1), path)
    verify(path, suite, place)
    (walk,) = result.parts["r2r-ce/val_unseen"].seeds[0].answers
    assert len(walk["positions"]) == 11
    assert walk["stopped"]
    document = json.loads(path.read_text())
    for row, number in ((0, 0), (-1, 10)):
        forged = copy.deepcopy(document)
        changed = forged["parts"]["r2r-ce/val_unseen"]["seeds"][0]["answers"][0]
        changed["positions"][row][0] += 0.01
        path.write_text(json.dumps(forged))
        problem = f"has a step {number} that no" if number else "does not begin at the start"
        with pytest.raises(UserError, match=problem):
            verify(path, suite, place)
    with pytest.raises(UserError, match=r"reads info\['teacher_action'\]"):
        run_suite(suite, place, [entrant_of(f"{HERE}:peeks")], RunOptions(batch_size=1), path)
