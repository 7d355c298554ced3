import json
import os
import re
import shutil
from functools import cache, partial

import numpy as np
import pytest

from clipnav.agents.experiments.runs import evaluate_run
from clipnav.agents.settings import EvaluateConfig
from clipnav.bench.board import write_board
from clipnav.bench.entrants import RuleError, entrant_of
from clipnav.bench.results import (
    EnergyMeter,
    check_walks,
    named_problem,
    read_result,
    result_table,
    run_suite,
    verify,
)
from clipnav.bench.suites import FOLDER, Place, digest_of, load_suite, parse_suite
from clipnav.cli import main
from clipnav.commands.results.bench import RunArguments
from clipnav.storage.errors import UserError
from clipnav.storage.features.objects import Objects, write_objects
from tests.clipnav.bench.conftest import OPTIONS, SUITE

PART = "r2r/val_unseen"
HERE = "tests.clipnav.bench.agents"


@pytest.fixture
def run_agent(suite, place, tmp_path):
    def run(*agents, suite=suite):
        path = tmp_path / "results" / "result.json"
        entrants = [entrant_of(str(agent)) for agent in agents]
        return path, run_suite(suite, place, entrants, OPTIONS, path)

    return run


def test_a_result_is_scored_from_its_walks(run_agent, suite, place):
    path, result = run_agent(f"{HERE}:two_moves")
    assert verify(path, suite, place) == read_result(path) == result
    record = result.parts[PART]
    assert [one.seed for one in record.seeds] == [0, 1]
    first, second = (one.answers for one in record.seeds)
    assert first != second
    assert all(1 < len(walk) <= 3 for walk in first)
    success = [sum(one.scores["SR"]) / len(record.items) for one in record.seeds]
    figure = record.figures["SR"]
    assert figure.mean == pytest.approx(sum(success) / 2, abs=1e-6)
    assert None not in (*figure.paths, *figure.seeds)
    assert list(record.figures) == list(suite.parts[0].metrics)


def test_goals_and_objects_are_scored_again(tiny_world, tmp_path):
    data = shutil.copytree(tiny_world, tmp_path / "data")
    keys = [f"barn_b{i}" for i in range(6)]
    seen = [Objects(["7"], ["vase"], np.ones((1, 4)), np.zeros((1, 2)), np.ones((1, 2)))] * 6
    write_objects(data / "reverie" / "objects.safetensors", keys, seen, {"encoder": "test"})
    head, _, part = SUITE.partition("[[parts]]")
    rules = load_suite("graph@2").rules
    text = f"{head}[rules]\nobservation = {json.dumps(rules.observation)}\n"
    metrics = {"reverie": ["RGS", "SR"], "cvdn": ["GP"], "objectnav": ["SoftSPL", "SR"]}
    for name, listed in metrics.items():
        own = part.replace("r2r", name).replace('["SPL", "SR", "NE", "nDTW"]', json.dumps(listed))
        text += f"[[parts]]{own}"
    suite, path = parse_suite(text, FOLDER), tmp_path / "result.json"
    place = Place("matterport", data, data / "features.safetensors")
    result = run_suite(suite, place, [entrant_of(f"{HERE}:points")], OPTIONS, path)
    assert verify(path, suite, place) == result
    reverie = result.parts["reverie/val_unseen"].seeds[0]
    assert {answer["object"] for answer in reverie.answers} == {"7"}
    assert reverie.scores["RGS"] == [1.0, 1.0, 0.0, 0.0]  # two paths, to objects 7 and 8
    assert all(isinstance(walk, list) for walk in result.parts["cvdn/val_unseen"].seeds[0].answers)
    document = json.loads(path.read_text())
    document["parts"]["reverie/val_unseen"]["seeds"][0]["answers"][3]["object"] = "8"
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match=r"episode 11_8_1: the walk ends where object '8' is not"):
        verify(path, suite, place)


@pytest.fixture(scope="module")
def valid(tiny_world, tmp_path_factory):
    """Text of a valid result."""
    path = tmp_path_factory.mktemp("valid") / "result.json"
    place = Place("matterport", tiny_world, tiny_world / "features.safetensors")
    entrants = [entrant_of(f"{HERE}:two_moves")]
    run_suite(parse_suite(SUITE, FOLDER), place, entrants, OPTIONS, path)
    return path.read_text()


def _edit(*keys, value):
    def change(document):
        *path, last = keys
        for key in path:
            document = document[key]
        document[last] = value(document[last]) if callable(value) else value

    return change


def _as_seeds(seeds, own):
    return [{**own[0], "seed": seed} for seed in seeds]


SEED = ("parts", PART, "seeds", 0)
# Changes of a result, and what verification says of them.
DAMAGE = {
    "a step": (
        _edit(*SEED, "answers", 0, value=lambda walk: [walk[0], walk[0], walk[1]]),
        r"episode 200_0: (NE|nDTW) is .* in the file, but its walk gives",
    ),
    "a step without an edge": (
        _edit(*SEED, "answers", 0, value=["b0", "b3"]),
        r"episode 200_0: the walk is not possible: 'b0' and 'b3' are not neighbours",
    ),
    "the start": (
        _edit(*SEED, "answers", 0, value=["b1", "b2"]),
        "episode 200_0: the walk does not begin at b0",
    ),
    "more steps than allowed": (
        _edit(*SEED, "answers", 0, value=["b0", "b1"] * 11),
        "episode 200_0: the walk has 21 steps, more than 20",
    ),
    "a missing walk": (_edit(*SEED, "answers", value=lambda w: w[:-1]), "has 7 walks for 8"),
    **{
        f"a walk that is {value!r}": (
            _edit(*SEED, "answers", 0, value=value),
            "episode 200_0: the walk cannot be read",
        )
        for value in (
            *(None, 7, "b0", True, [None], [7], [["b0"]]),
            *({}, {"viewpoints": ["b0"]}, {"viewpoints": None, "object": "7"}),
            *({"viewpoints": ["b0"], "object": []}, {"viewpoints": ["b0"], "object": None}),
        )
    },
    "an empty walk": (_edit(*SEED, "answers", 0, value=[]), "does not begin at b0"),
    "an object without viewpoints": (
        _edit(*SEED, "answers", 0, value={"viewpoints": [], "object": "7"}),
        "does not begin at b0",
    ),
    "an object in a part without objects": (
        _edit(*SEED, "answers", 0, value={"viewpoints": ["b0"], "object": "7"}),
        "ends where object '7' is not visible",
    ),
    **{
        f"{keys[-1]} of {value}": (_edit(*keys, value=value), f"{keys[-1]}': expected float")
        for keys in (
            ("seconds",),
            ("energy_joules",),
            (*SEED, "seconds"),
        )
        for value in (-1, 1e308)
    },
    **{
        f"a cost of {value}": (_edit(*SEED, "usage", value={"cost": value}), "expected float")
        for value in (-0.1, 1e308)
    },
    "a score": (
        _edit(*SEED, "scores", "SPL", 1, value=lambda score: 1 - 0.5 * score),
        r"seed 0, episode 200_1: SPL is .* in the file, but its walk gives",
    ),
    "a mean": (
        _edit("parts", PART, "figures", "SR", "mean", value=0.99),
        r"SR is 0\.99 .*in the file, but the scores give",
    ),
    "an interval": (
        _edit("parts", PART, "figures", "SR", "paths", value=[0.1, 0.2]),
        r"SR is .*\[0\.1, 0\.2\] .*in the file, but the scores give",
    ),
    "the version of the suite": (
        _edit("suite", "version", value=2),
        "is a result of tiny@2, not of tiny@1",
    ),
    "another suite of this name": (
        _edit("suite", "sha256", value="0" * 64),
        "its digest is not that of the released suite",
    ),
    "the version of the world": (
        _edit("world", "version", value=1),
        "was made in version 1 of the world 'matterport'; tiny@1 is for version 2",
    ),
    "another world": (
        _edit("parts", PART, "data_sha256", value="0" * 64),
        "was made in another world: the digest of its graphs and episodes is 000000000000, here",
    ),
    "a note": (_edit("agent", "note", value="best"), "changed after it was written"),
    "the agent": (_edit("agent", "sha256", value=["0" * 64]), "changed after it was written"),
    "the time": (_edit("seconds", value=0.1), "changed after it was written"),
    **{
        f"{keys[-1]} of {value!r:.20}": (_edit(*keys, value=value), f"{what} is not one printable")
        for keys, what in (
            (("agent", "name"), "the name of the agent"),
            (("agent", "note"), "the note"),
            (("versions", "numpy"), "versions.'numpy'."),
            (("machine", "processor"), "machine.'processor'."),
            (("world", "name"), "world.'name'."),
        )
        for value in ("a\nx.json: scored", "\x1b[2J", "\u202eeman", "\u2028", "x" * 501)
    },
    **{
        f"a name in {keys[-1]}": (_edit(*keys, value={"a\nb": 1}), "printable line")
        for keys in (("world",), ("machine",), (*SEED, "usage"))
    },
    "many amounts": (
        _edit(*SEED, "usage", value={str(k): 1.0 for k in range(65)}),
        "usage has more than 64 entries",
    ),
    "what it was trained on": (
        _edit("agent", "trained_on", value={"worlds": ["houses"]}),
        "changed after it was written",
    ),
    "a name in trained_on": (
        _edit("agent", "trained_on", value={"worlds": ["a\nb"]}),
        "a name in trained_on.worlds is not one printable line",
    ),
    "many names in trained_on": (
        _edit("agent", "trained_on", value={"splits": ["a"] * 65}),
        "trained_on.splits has more than 64 entries",
    ),
    "no name": (_edit("agent", "name", value=" "), "the name of the agent is empty"),
    "a kind": (_edit("agent", "kind", value="human"), "invalid enum value"),
    **{
        f"digests {value}": (_edit("agent", "sha256", value=value), "field 'agent.sha256")
        for value in ([], ["0" * 63], ["0" * 64 + "\n"], ["G" * 64], [7])
    },
    **{
        f"a date {value}": (_edit("date", value=value), "the date is not one as 2026-01-31T12:00")
        for value in (
            *("x", "", "2019-12-31T23:59:59Z", "2999-01-01T00:00:00Z", "2026-13-01T00:00:00Z"),
            *("2026-1-1T0:0:0Z", "2026-01-31", "2026-01-31T12:00:00Z\n"),
        )
    },
    **{
        f"seeds {seeds}": (
            _edit(
                "parts",
                PART,
                "seeds",
                value=lambda own, s=seeds: [{**own[0], "seed": k} for k in s],
            ),
            r"has the seeds \[.*\], but this package has \[0, 1\]",
        )
        for seeds in ([], [0], [0, 0], [1, 0], [0, -1], [0, 1, 2], list(range(200)))
    },
    "the seeds of runs": (
        lambda document: document["agent"].update(kind="run"),
        r"has the seeds \[0, 1\], but this run has \[0\]",
    ),
    "the seeds of a model": (
        lambda document: document["agent"].update(kind="vlm"),
        r"has the seeds \[0, 1\], but this vlm has \[0\]",
    ),
    "one walk as two seeds": (
        _edit("parts", PART, "seeds", value=partial(_as_seeds, [0, 1])),
        r"in the file, but the scores give",
    ),
}


@pytest.mark.parametrize("sealed", [False, True], ids=["as it is", "with a new digest"])
@pytest.mark.parametrize("name", DAMAGE)
def test_verification_finds(name, sealed, valid, suite, place, tmp_path):
    change, message = DAMAGE[name]
    document, path = json.loads(valid), tmp_path / "changed.json"
    change(document)
    path.write_text(json.dumps(document))
    if sealed:  # the digest proves no authorship: anybody can compute it
        if "changed after" in message:
            return
        del document["sha256"]
        path.write_text(json.dumps({**document, "sha256": digest_of(document)}))
    with pytest.raises(UserError, match=message) as caught:
        verify(path, suite, place)
    assert re.fullmatch(rf"{re.escape(str(path))}: .*", str(caught.value))  # one line
    assert named_problem(path, caught.value).isprintable()


FILES = {
    "a link": (lambda path, valid: path.symlink_to(valid), "a link"),
    "a lost link": (lambda path, valid: path.symlink_to("nowhere"), "a link"),
    "a link to a device": (lambda path, valid: path.symlink_to("/dev/zero"), "a link"),
    "a pipe": (lambda path, valid: os.mkfifo(path), "not a regular file"),
    "a folder": (lambda path, valid: path.mkdir(), "not a regular file"),
    "a large file": (lambda path, valid: _sparse(path, 1 << 33), "larger than 67,108,864 bytes"),
    "an empty file": (lambda path, valid: path.touch(), "not valid JSON"),
    "zeros": (lambda path, valid: _sparse(path, 1000), "not valid JSON"),
    "a list": (lambda path, valid: path.write_text("[]"), "expected object, got array"),
    "null": (lambda path, valid: path.write_text("null"), "expected object, got null"),
    "depth": (lambda path, valid: path.write_text("[" * 10**6), "nested"),
    "an unknown suite": (
        lambda path, valid: path.write_text(valid.read_text().replace('"tiny"', '"other"')),
        "no such suite",
    ),
    "a name of many lines": (
        lambda path, valid: path.write_text(valid.read_text().replace('"tiny"', r'"a\n\u001b[2J"')),
        "no such suite",
    ),
    "a key of many lines": (
        lambda path, valid: path.write_text('{"a\\nx.json: scored":1,' + valid.read_text()[1:]),
        "unknown field a x.json",
    ),
}


def _sparse(path, size):
    with path.open("wb") as file:
        file.truncate(size)


@pytest.fixture
def load_tiny(suite, place, monkeypatch):
    """Let the board and the command find the suite of the tiny world."""
    from clipnav.bench import board, suites

    def load(label):
        return suite if label == suite.label else load_suite(label)

    monkeypatch.setattr(board, "load_suite", load)
    monkeypatch.setattr(board, "Place", lambda world: place)
    monkeypatch.setattr(suites, "Place", lambda world: place)
    monkeypatch.setattr(suites, "load_suite", load)


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_judged_alone(name, valid, load_tiny, tmp_path, capsys):
    make, message = FILES[name]
    folder = tmp_path / "results"
    folder.mkdir()
    for good in ("a.json", f"{'z' * 250}.json"):
        (folder / good).write_text(valid)
    bad = folder / "bad\nname.json"
    make(bad, folder / "a.json")
    (problem,) = write_board(folder, tmp_path / "site")
    assert message in problem
    assert problem.isprintable()
    assert "bad name.json" in problem
    page = (tmp_path / "site" / "index.html").read_text()
    data = json.loads(re.search(r'id="data">(.*?)</script>', page)[1])
    assert [len(one["results"]) for one in data["suites"]] == [2]
    assert main(["bench", "verify", str(bad), str(folder / "a.json")]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert message in first
    assert "a.json: scored, 16 walks of two_moves" in second


def test_data_of_another_world_is_refused_before_the_first_walk(run_agent):
    changed = parse_suite(SUITE + f'data_sha256 = "{"0" * 64}"\n', FOLDER)
    with pytest.raises(UserError, match="are not those of the suite"):
        run_agent(f"{HERE}:two_moves", suite=changed)


@pytest.mark.parametrize(
    ("agent", "message"),
    [
        ("reads_the_teacher", r"info\['teacher_action'\], which the suite does not allow; it may"),
        ("reads_the_map", r"reads observation\['viewpoint'\], which the suite does not allow"),
    ],
)
def test_agents_get_nothing_but_what_the_suite_allows(agent, message, run_agent, tmp_path):
    with pytest.raises(RuleError, match=message):
        run_agent(f"{HERE}:{agent}")
    assert not (tmp_path / "results").exists()
    run_agent(f"{HERE}:reads_words")


TRAINED = {"worlds": ["matterport"], "datasets": ["r2r"], "splits": ["train"]}


@pytest.mark.parametrize(
    ("told", "known"),
    [
        ([], {}),
        (["worlds=houses", "weights="], {"worlds": ["houses"], "weights": []}),
        (["datasets=r2r,rxr"], {"datasets": ["r2r", "rxr"]}),
    ],
)
@pytest.mark.parametrize("is_run", [False, True], ids=["package", "run"])
def test_results_declare_what_the_agent_was_trained_on(
    is_run, told, known, train_tiny, load_tiny, run_command, tmp_path
):
    path, agent = tmp_path / "result.json", train_tiny(3) if is_run else f"{HERE}:two_moves"
    options = ("--trained-on", *told) if told else ()
    main = ("bench", "run", "--suite", "tiny@1", "--agent", agent, "--output", path)
    run_command(*main, *options)
    own = json.loads(path.read_text())["agent"]
    expected = {**(TRAINED if is_run else {}), **known}
    assert own.get("trained_on", {}) == expected
    assert ("trained_on" in own) == bool(expected)  # digests of results without it stay
    run_command("bench", "verify", path)


@pytest.mark.parametrize("told", ["houses", "houses=a", "worlds=a worlds=b"])
def test_wrong_declarations_are_refused(told, tmp_path):
    with pytest.raises(UserError, match="give each of worlds, datasets, splits, weights once"):
        RunArguments(("a:b",), tmp_path / "o.json", "smoke@1", trained_on=tuple(told.split()))


def test_equal_seeds_are_named_and_get_no_interval(run_agent, suite, place):
    path, result = run_agent(f"{HERE}:reads_words")  # which stays where it is
    assert verify(path, suite, place) == result
    figure = result.parts[PART].figures["SR"]
    assert figure.seeds == (None, None)
    assert None not in figure.paths
    assert "2, 1 different" in result_table(result, suite)


@pytest.mark.parametrize(
    ("agents", "options", "message"),
    [
        (
            ["two_moves", "vlm"],
            {},
            r"agents of one result are of one kind, not \['package', 'vlm'\]",
        ),
        (["two_moves"], {"name": "a\nb"}, "the name of the agent is not one printable line"),
        (["two_moves"], {"name": ""}, None),
        (["two_moves"], {"name": " "}, "the name of the agent is empty"),
        (["two_moves"], {"note": "a\nb"}, "the note is not one printable line"),
    ],
)
def test_results_that_nobody_could_read_are_not_made(
    agents, options, message, suite, place, tmp_path
):
    path = tmp_path / "result.json"
    entrants = [
        entrant_of("r2r=vlm:http://127.0.0.1:9", "m")
        if name == "vlm"
        else entrant_of(f"{HERE}:{name}")
        for name in agents
    ]
    if message is None:
        run_suite(suite, place, entrants, OPTIONS, path, **options)
        return
    with pytest.raises(UserError, match=message):
        run_suite(suite, place, entrants, OPTIONS, path, **options)
    assert not path.exists()


@pytest.fixture(scope="session")
def train_tiny(tiny_arguments, tmp_path_factory):
    """Function that trains a small follower in the tiny world for a moment."""
    from clipnav.cli import main

    @cache
    def train(seed, *flags):
        run = tmp_path_factory.mktemp("runs") / f"seed-{seed}"
        world = ["--world", "matterport", "--data-dir", tiny_arguments["data_dir"]]
        world += ["--features", tiny_arguments["features"], "--evaluation-splits", "val_unseen"]
        size = ["--select-by", "val_unseen", "--follower.hidden-size", "16", "--batch-size", "4"]
        rest = ["--iterations", "2", "--seed", str(seed), "--output", str(run), "--threads", "1"]
        main(["train-agent", *world, *size, *rest, *flags])
        return run

    return train


def test_runs_score_as_in_their_own_evaluation(train_tiny, run_agent, suite, place):
    runs = [train_tiny(seed) for seed in (3, 4)]
    path, result = run_agent(*runs)
    verify(path, suite, place)
    assert len(set(result.agent.sha256)) == 2
    with pytest.raises(UserError, match="the same run twice for r2r/val_unseen"):
        run_agent(runs[0], runs[0])
    options = path, result, suite, place, [str(runs[0]), f"rxr={runs[1]}"], 256
    with pytest.raises(UserError, match=r"has 2 seeds, but --agent gives 1; name the agents as"):
        check_walks(*options)
    for run, record in zip(runs, result.parts[PART].seeds, strict=True):
        summary = evaluate_run(EvaluateConfig(run, baselines=False))[PART.partition("/")[2]]
        (scores,) = summary.values()
        for name in result.parts[PART].figures:
            mean = sum(record.scores[name]) / len(record.scores[name])
            assert mean == pytest.approx(scores[name], abs=1e-6)


def test_a_published_run_enters_under_the_name_of_its_repository(tmp_path, monkeypatch):
    cached = tmp_path / "models--owner--follower" / "snapshots" / "0123"
    own = tmp_path / "own"
    for folder in (cached, own):
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        (folder / "model.safetensors").write_text("weights")
    monkeypatch.setattr("clipnav.bench.entrants.local_run", {"hf:owner/follower@v1": cached}.get)
    for text in ("r2r=hf:owner/follower@v1", f"r2r={cached}"):
        entrant = entrant_of(text)
        assert (entrant.name, entrant.part, entrant.run) == ("owner/follower", "r2r", cached)
        assert entrant.digest == entrant_of(str(own)).digest


def test_the_energy_is_that_of_the_packages(tmp_path):
    assert EnergyMeter(tmp_path).joules() is None
    for name, start in (("intel-rapl:0", 900), ("intel-rapl:1", 5), ("intel-rapl:0:0", 1)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(str(start))
        (tmp_path / name / "max_energy_range_uj").write_text("1000")
    meter = EnergyMeter(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("100")  # wrapped around
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("105")
    assert meter.joules() == pytest.approx(300e-6)


def test_the_command_runs_and_verifies(run_command, tmp_path):
    out = tmp_path / "random.json"
    printed = run_command(
        *("bench", "run", "--suite", "smoke@1", "--agent", "clipnav.bench.baselines:random"),
        *("--output", out),
    )
    assert "r2r/val_unseen  SPL" in printed
    assert "scored, 720 walks of random on smoke@1" in run_command("bench", "verify", out)
    document = json.loads(out.read_text())
    document["suite"]["version"] = 7
    out.write_text(json.dumps(document))
    with pytest.raises(SystemExit):
        run_command("bench", "verify", out)
