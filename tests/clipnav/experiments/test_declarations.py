"""Declarations, and the settings of their steps, which are otherwise read after hours."""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from clipnav.agents.clear.settings import parse_language, parse_visual
from clipnav.agents.continuous.settings import parse_continuous
from clipnav.agents.duet.settings import parse_pretraining
from clipnav.agents.envdrop.settings import parse_speaker
from clipnav.agents.settings.command_line import parse_agent
from clipnav.commands.agents import compare_agents, compare_encoders
from clipnav.commands.tasks import compare_vqa_encoders
from clipnav.envs.metrics import metrics
from clipnav.experiments.declarations import (
    OUTPUTS,
    Experiment,
    ExperimentStep,
    read_experiments,
    required,
    steps_needed,
    steps_of,
)
from clipnav.experiments.running import _is_ready
from clipnav.training.settings import to_json
from clipnav.vl_tasks.specs import parse_task
from tests.conftest import ROOT

EXPERIMENTS = read_experiments(ROOT / "docs" / "results")
DECLARED = '[a]\npage = "p.md"\ncolumns = ["x"]\nsteps = ["a"]\nrows = [["y"]]\nbudget = "1 s"'


def test_a_folder_without_declarations_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"experiments\.toml: .* in a checkout"):
        read_experiments(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[a", r"experiments\.toml: .*; correct the file"),
        (f"{DECLARED}\npages = 1", "a Object contains unknown field `pages`"),
        (DECLARED.replace('rows = [["y"]]', ""), "a Object missing required field `rows`"),
    ],
)
def test_an_invalid_declaration_is_refused(tmp_path, text, message):
    (tmp_path / "experiments.toml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_experiments(tmp_path)


def test_steps_with_a_seed_are_repeated_for_each_seed():
    steps = ("clipnav a", 'clipnav b "--x {seed}" {{seed}}')
    experiment = Experiment("p.md", ("x",), steps, (("y",),), "1 s", seeds=(0, 5))
    assert [step.words for step in steps_of("e", experiment)] == [
        ["clipnav", "a"],
        ["clipnav", "b", "--x 0", "{seed}"],
        ["clipnav", "b", "--x 5", "{seed}"],
    ]


def test_experiments_run_after_those_from_which_they_read():
    def experiment(step: str, row: str) -> Experiment:
        return Experiment("p.md", ("x",), (step,), ((row,),), "1 s")

    experiments = {
        "c": experiment("clipnav c runs/results/b-2/x --output runs/results/c/x", "f.json#x"),
        "b-2": experiment("clipnav b --output runs/results/b-2/x", "../a/f.json#x"),
        "a": experiment("clipnav a --output runs/results/a/x", "../x/f"),
        "x": experiment("clipnav x", "f"),
    }
    assert required("c", experiments) == ["x", "a", "b-2", "c"]
    needed = [step.experiment for step in steps_needed(["b-2", "c"], experiments)]
    assert needed == ["x", "a", "b-2", "c"]


def test_steps_wait_for_those_whose_output_they_read():
    folder = "runs/results/experiment"
    steps = [
        ExperimentStep("experiment", command.replace("folder", folder))
        for command in (
            "clipnav build-houses",
            "clipnav train-agent --output folder/run-0",
            "clipnav train-agent --output folder/run-01",
            "clipnav train-agent --start-from folder/run-0 --output folder/more-0",
            "clipnav compare --encoders a=folder/run-01/tower --output folder/comparison",
            "python benchmarks/speed.py --output folder/speed.json",
            "clipnav evaluate-agent folder/more-0 --json folder/more-0.json",
            "clipnav train-agent --output elsewhere/run-3",
            "clipnav train-agent --output folder/run-4",
            "clipnav compare --rows 'a=--x folder/run-01 --y folder/run-4/x' --output folder/rows",
            "clipnav evaluate folder/run-0 --submission folder/walks-0.json --json folder/0.json",
            "clipnav compare --start-from folder/run-{seed} --output folder/starts",
            "clipnav rank --systems a=folder/walks-{seed}.json --json folder/ranking.json",
        )
    ]
    alone = {0, 5, 7}
    read = [set(), set(), set(), {1}, {2}, set(), {3}, set(), set(), {2, 8}, {1}, {1, 2, 8}, {10}]
    for number in range(len(steps)):
        earlier = set(range(number))
        expected = earlier if number in alone else read[number] | alone & earlier
        others = [set(steps) - {step} for step in steps]
        needed = {k for k in range(number) if not _is_ready(steps, number, others[k])}
        assert needed == expected


@pytest.mark.parametrize("name", list(EXPERIMENTS))
def test_rows_fit_the_columns_and_read_files_of_the_steps(name):
    experiment = EXPERIMENTS[name]
    columns = len(experiment.columns)
    commands = " ".join(step.command for step in steps_needed([name], EXPERIMENTS))
    for row in experiment.rows:
        assert len(row) == columns or (len(row) < columns and "#" in row[-1])
        for cell in row:
            if "#" in cell:
                file = cell.partition("#")[0].format(seed=0) or "figures.json"
                written = re.sub(r"/(results\.json|comparison\.json|metrics\.jsonl)$", "", file)
                written = re.sub(r"/runs/[^/]+$", "", written)  # of the rows of a comparison
                path = f"{OUTPUTS}/{name}/{written}"
                assert re.sub(r"[\w-]+/\.\./", "", path) in commands
        if len(row) < columns and "/comparison.json#" in row[-1]:
            keys = [column.metric for column in experiment.column_list()]
            assert {*keys[len(row) - 1 :]} <= {*metrics("comparison"), "accuracy"}
        for cell, column in zip(row, experiment.column_list(), strict=False):
            # The key of a column is looked up in groups only; a reference to a value contains it.
            if len(row) == columns and "#" in cell and column.key is not None:
                assert cell.endswith(f"#{column.key}")


def test_flags_of_the_other_steps_exist(run_command, capsys):
    flags: dict[tuple[str, ...], set[str]] = {}
    for name, experiment in EXPERIMENTS.items():
        for step in steps_of(name, experiment):
            program, command, *words = step.words
            own = words[: words.index("--")] if "--" in words else words
            if program == "python":
                assert (ROOT / command).is_file()
                assert "--json" in own
                continue
            # The help of a training is that of its agent.
            chosen = "--agent" in own and command != "bench"
            agent = own[own.index("--agent") :][:2] if chosen else []
            flags.setdefault((command, *agent), set()).update(w for w in own if w[:2] == "--")
    for words, used in flags.items():
        with pytest.raises(SystemExit):
            run_command(*words, "--help-all")
        printed = capsys.readouterr().out
        assert {flag for flag in used if flag not in printed} == set()


TRAININGS: dict[str, Callable[[list[str]], Any]] = {
    "train-agent": parse_agent,
    "train-speaker": parse_speaker,
    "pretrain-agent": parse_pretraining,
    "train-continuous-agent": parse_continuous,
    "train-language-representation": parse_language,
    "train-visual-representation": parse_visual,
    "finetune-vqa": partial(parse_task, "vqa"),
    "finetune-gqa": partial(parse_task, "gqa"),
    "finetune-snli-ve": partial(parse_task, "snli-ve"),
    "pretrain-vl": partial(parse_task, "pretrain-vl"),
    "train-captioner": partial(parse_task, "captions"),
}
# Command of each comparison, and the parser of its trainings.
COMPARISONS: dict[str, tuple[Any, Callable[[list[str]], Any]]] = {
    "compare-agents": (compare_agents, parse_agent),
    "compare-encoders": (compare_encoders, parse_agent),
    "compare-vqa-encoders": (compare_vqa_encoders, partial(parse_task, "vqa")),
}


class Checked(Exception):
    """The rows of a comparison are made."""


@pytest.fixture
def rows_of(monkeypatch):
    """Function from the words of a comparison to its rows, instead of their training."""

    def train(_arguments, _folder, rows, _common):
        raise Checked(rows)

    def make_rows(contestants):
        def checked(arguments, *inputs):
            raise Checked(contestants(arguments, *inputs))

        return checked

    for command in (compare_agents, compare_encoders):
        monkeypatch.setattr(command, "run_comparison", train)
    monkeypatch.setattr(compare_encoders, "check_training", lambda *_: None)
    monkeypatch.setattr(compare_encoders, "make_stores", lambda _: {"": Path("features")})
    monkeypatch.setattr("clipnav.vl_tasks.grids.encoders.check_encoder", lambda _: None)
    original = compare_vqa_encoders.contestants
    monkeypatch.setattr(compare_vqa_encoders, "contestants", make_rows(original))

    def rows(command, words):
        with pytest.raises(Checked) as made:
            command.main(words)
        return made.value.args[0]

    return rows


def test_trainings_have_valid_settings(tmp_path, monkeypatch, rows_of):
    monkeypatch.chdir(tmp_path)
    once = {key: structs.replace(one, seeds=one.seeds[:1]) for key, one in EXPERIMENTS.items()}
    trainings = 0
    for step in steps_needed(list(once), once):
        runs: dict[Path, Any] = {}
        _, command, *words = step.words
        if command in TRAININGS:
            assert step.run_folder is not None
            runs[Path(step.run_folder)] = TRAININGS[command](words)
            trainings += 1
        elif command in COMPARISONS:
            folder = Path(words[words.index("--output") + 1])
            comparison, parse = COMPARISONS[command]
            for row in rows_of(comparison, words):
                runs[folder / "runs" / f"{row.name}-0"] = parse(row.arguments_for(0))
            assert runs
        for run, config in runs.items():  # later steps start from them
            run.mkdir(parents=True, exist_ok=True)
            (run / "config.json").write_text(to_json(config))
    assert trainings > 20
