"""Settings of the declared steps, which would otherwise be read for the first time after hours."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from clipnav.agents.clear.command_line import parse_language, parse_visual
from clipnav.agents.continuous.command_line import parse_continuous
from clipnav.agents.duet.presets import parse_pretraining
from clipnav.agents.envdrop.presets import parse_speaker
from clipnav.agents.settings.command_line import parse_agent
from clipnav.commands.agents import compare_agents, compare_encoders
from clipnav.commands.tasks import compare_vqa_encoders
from clipnav.experiments.declarations import read_experiments
from clipnav.experiments.steps import output_folder, steps_of
from clipnav.training.settings import to_json
from clipnav.vl_tasks import command_line as vl_tasks
from tests.conftest import ROOT

EXPERIMENTS = read_experiments(ROOT / "docs" / "results")
TRAININGS: dict[str, Callable[[list[str]], Any]] = {
    "train-agent": parse_agent,
    "train-speaker": parse_speaker,
    "pretrain-agent": parse_pretraining,
    "train-continuous-agent": parse_continuous,
    "train-language-representation": parse_language,
    "train-visual-representation": parse_visual,
    "finetune-vqa": vl_tasks.parse_vqa,
    "finetune-gqa": vl_tasks.parse_gqa,
    "finetune-snli-ve": vl_tasks.parse_entailment,
    "pretrain-vl": vl_tasks.parse_pretraining,
    "train-captioner": vl_tasks.parse_captions,
}
# Command of each comparison, and the parser of its trainings.
COMPARISONS: dict[str, tuple[Any, Callable[[list[str]], Any]]] = {
    "compare-agents": (compare_agents, parse_agent),
    "compare-encoders": (compare_encoders, parse_agent),
    "compare-vqa-encoders": (compare_vqa_encoders, vl_tasks.parse_vqa),
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


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_trainings_have_valid_settings(name, tmp_path, monkeypatch, rows_of):
    monkeypatch.chdir(tmp_path)
    steps = []
    for part in (*EXPERIMENTS[name].requires, name):
        experiment = EXPERIMENTS[part]
        steps += steps_of(replace(experiment, seeds=experiment.seeds[:1]), Path(part))
    for command, *words in steps:
        runs: dict[Path, Any] = {}
        if command in TRAININGS:
            runs[run_folder(words)] = TRAININGS[command](words)
        elif command in COMPARISONS:
            comparison, parse = COMPARISONS[command]
            for row in rows_of(comparison, words):
                runs[run_folder(words) / "runs" / f"{row.name}-0"] = parse(row.arguments_for(0))
            assert runs
        for run, config in runs.items():  # later steps start from them
            run.mkdir(parents=True, exist_ok=True)
            (run / "config.json").write_text(to_json(config))


def run_folder(words: list[str]) -> Path:
    output = output_folder(words)
    assert output is not None
    return Path(output)


def test_many_steps_are_trainings():
    steps = [step for one in EXPERIMENTS.values() for step in steps_of(one, Path("folder"))]
    assert sum(step[0] in TRAININGS for step in steps) > 20
