import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from clipnav.agents.envdrop.presets import preset
from clipnav.agents.experiments.comparison import METRICS
from clipnav.agents.settings.command_line import parse_agent
from clipnav.experiments.declarations import Column, Experiment, read_experiments
from clipnav.experiments.steps import Step, predecessors, read_output, resumed, steps_of
from tests.conftest import ROOT

EXPERIMENTS = read_experiments(ROOT / "docs" / "results")
FOLDER = Path("folder")
DECLARED = '[a]\npage = "p.md"\ncolumns = ["x"]\nsteps = ["a"]\nrows = [["y"]]\nbudget = "1 s"'


def write(folder: Path, text: str) -> Path:
    (folder / "experiments.toml").write_text(text)
    return folder


def test_a_folder_without_declarations_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"experiments\.toml: .* in a checkout"):
        read_experiments(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a", r"experiments\.toml: .*; correct the file"),
        ('[a]\npage = "p.md"\ncolumns = ["x"]\npages = 1', "unknown field `pages`"),
        ('[a]\npage = "p.md"\ncolumns = ["x"]\nsteps = ["a"]', "missing required field `rows`"),
        (f"{DECLARED}\nseeds = []", "a: seeds must not be empty"),
        (f"{DECLARED}\nseeds = [0, 1, 0]", r"seeds \[0, 1, 0\] contain one twice"),
        (DECLARED.replace('["y"]', '["y", "f.json#SR"]'), "must have 1 to 1 cells"),
        (DECLARED.replace('["y"]', "[]"), "must have 1 to 1 cells"),
        (DECLARED.replace('["a"]', '[""]'), "step '' has no command"),
        (DECLARED.replace('["a"]', """['a "b']"""), "No closing quotation"),
        (DECLARED.replace('["a"]', '["a {other}/b"]'), "{other} is none of folder, seed; add"),
        (DECLARED.replace('["a"]', '["a {"]'), "a brace itself is written twice"),
        (DECLARED.replace('["y"]', '["f-{sed}.json#SR"]'), "{sed} is none of seed"),
        (DECLARED.replace('["x"]', '[{ name = "x", format = ".1x" }]'), "format '.1x' is not one"),
        (DECLARED.replace("[a]", "[folder]"), "folder: not the name of an experiment"),
        (DECLARED.replace("[a]", '["../a"]'), r"\.\./a: not the name of an experiment"),
    ],
)
def test_an_invalid_declaration_is_refused(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_experiments(write(tmp_path, text))


def test_columns_are_names_or_tables(tmp_path):
    text = DECLARED.replace('["x"]', '["x", { name = "y", factor = 2 }]')
    assert read_experiments(write(tmp_path, text))["a"].column_list() == [
        Column("x"),
        Column("y", factor=2),
    ]


def test_steps_with_a_seed_are_repeated_for_each_seed():
    experiment = Experiment(
        page="p.md",
        columns=("x",),
        steps=("a {folder}", 'b "--x {seed}" {{seed}}'),
        rows=(("y",),),
        seeds=(0, 5),
        budget="1 s",
    )
    assert steps_of(experiment, FOLDER) == [
        ["a", "folder"],
        ["b", "--x 0", "{seed}"],
        ["b", "--x 5", "{seed}"],
    ]


def test_steps_wait_for_those_whose_output_they_read():
    declared = [
        ["build-houses"],
        ["train-agent", "--output", "folder/run-0"],
        ["train-agent", "--output", "folder/run-01"],
        ["train-agent", "--start-from", "folder/run-0", "--output", "folder/more-0"],
        ["compare", "--encoders", "a=folder/run-01/tower", "--output", "folder/comparison"],
        ["benchmarks/speed.py", "--output", "folder/speed.json"],
        ["evaluate-agent", "folder/more-0", "--json", "folder/more-0.json"],
        ["train-agent", "--output", "elsewhere/run-3"],
        ["train-agent", "--output", "folder/run-4"],
        ["compare", "--rows", "a=--x folder/run-01 --y folder/run-4/x", "--output", "folder/rows"],
    ]
    steps = [Step("experiment", FOLDER, words) for words in declared]
    alone = {0, 5, 7}
    read = [set(), set(), set(), {1}, {2}, set(), {3}, set(), set(), {2, 8}]
    for number, waits in enumerate(predecessors(steps)):
        earlier = set(range(number))
        assert waits == (earlier if number in alone else read[number] | alone & earlier)


def test_outputs_can_be_given_with_an_equals_sign(tmp_path):
    run = tmp_path / "run"
    training = ["train-agent", f"--output={run}"]
    scoring = ["evaluate-agent", str(run), f"--json={run}/scores.json"]
    other = ["train-agent", f"--output={tmp_path}/other"]
    steps = [Step("experiment", tmp_path, words) for words in (training, other, scoring)]
    assert predecessors(steps)[:2] == [set(), set()]
    assert read_output(scoring, training) == str(run)
    assert read_output(["train-agent", f"--output={run}/more"], training) is None
    run.mkdir()
    (run / "trainer.pt").touch()
    assert resumed(training) == ["train-agent", "--resume", str(run)]


def test_steps_name_the_folders_of_required_experiments(tmp_path):
    text = """
    [first]
    page = "p.md"
    columns = ["x"]
    steps = ["a --output {folder}/run"]
    rows = [["y"]]
    budget = "1 s"
    [second-one]
    page = "p.md"
    columns = ["x"]
    requires = ["first"]
    steps = ["b --start-from {first}/run"]
    rows = [["y"]]
    budget = "1 s"
    """
    experiments = read_experiments(write(tmp_path, text))
    assert steps_of(experiments["second-one"], FOLDER / "second-one") == [
        ["b", "--start-from", "folder/first/run"]
    ]
    with pytest.raises(ValueError, match="second-one: requires zeroth, not declared above"):
        read_experiments(write(tmp_path, text.replace('["first"]', '["zeroth"]')))


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_rows_fit_the_columns_and_read_files_of_the_steps(name):
    experiment = EXPERIMENTS[name]
    columns = len(experiment.columns)
    required = {other: f"../{other}" for other in experiment.requires}
    steps = steps_of(experiment, FOLDER)
    for other, place in required.items():
        steps += steps_of(EXPERIMENTS[other], FOLDER / place)
    outputs = " ".join(word for step in steps for word in step)
    for row in experiment.rows:
        assert len(row) == columns or (len(row) < columns and "#" in row[-1])
        for cell in row:
            if "#" in cell:
                file = (experiment.base + cell if cell.startswith("#") else cell).partition("#")[0]
                written = file.removesuffix("/results.json").removesuffix("/comparison.json")
                written = re.sub(r"/runs/[^/]+$", "", written)  # of the rows of a comparison
                assert f"folder/{written.format(seed=0, **required)}" in outputs
        if len(row) < columns and "/comparison.json#" in row[-1]:
            keys = [(c.key or c.name).partition("#")[0] for c in experiment.column_list()]
            assert {*keys[len(row) - 1 :]} <= {*METRICS, "accuracy"}
        for cell, column in zip(row, experiment.column_list(), strict=False):
            # The key of a column is looked up in groups only; a reference to a value contains it.
            if len(row) == columns and "#" in cell and column.key is not None:
                assert cell.endswith(f"#{column.key}")


def test_flags_of_the_other_steps_exist(run_command, capsys):
    flags: dict[tuple[str, ...], set[str]] = {}
    for experiment in EXPERIMENTS.values():
        for step in experiment.steps:
            name, *words = shlex.split(step)
            own = words[: words.index("--")] if "--" in words else words
            agent = own[own.index("--agent") :][:2] if "--agent" in own else []
            flags.setdefault((name, *agent), set()).update(w for w in own if w.startswith("--"))
    for (name, *agent), used in flags.items():
        if name.startswith("benchmarks/"):
            assert (ROOT / name).is_file()
            assert "--json" in used
            continue
        with pytest.raises(SystemExit):
            run_command(name, *agent, "--help")
        printed = capsys.readouterr().out
        assert {flag for flag in used if flag not in printed} == set()


def test_the_demo_experiment_has_the_settings_of_the_demo():
    first, second, _ = steps_of(EXPERIMENTS["demo"], FOLDER)
    expected = replace(preset("r2r", "houses"), threads=2, output=FOLDER / "imitation")
    assert parse_agent(first[1:]) == expected
    assert second[1:] == [
        *("--threads", "2", "--start-from", "folder/imitation", "--output", "folder/rewards")
    ]
