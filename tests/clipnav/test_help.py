import dataclasses
import re
import subprocess
import sys
from dataclasses import dataclass
from typing import ClassVar

import pytest
import tyro

from clipnav.agents.clear.settings import RepresentationTrainConfig
from clipnav.agents.continuous.settings import ContinuousTrainConfig
from clipnav.agents.duet.settings import MapPretrainConfig, MapTrainConfig
from clipnav.agents.envdrop.settings import SpeakerTrainConfig, TrainConfig
from clipnav.agents.etpnav.settings import EtpNavTrainConfig
from clipnav.agents.frontier.settings import FrontierTrainConfig
from clipnav.agents.hamt.settings import HistoryTrainConfig
from clipnav.agents.settings import RunConfig
from clipnav.agents.vlm_finetuning.settings import FinetuneVlmConfig
from clipnav.agents.waypoints.settings import PredictorConfig
from clipnav.cli import COMMANDS, help_text, main, summary
from clipnav.encoders.pretraining.settings import _MAY_CHANGE
from clipnav.envs.datasets import dataset_spec
from clipnav.parsing import parse
from clipnav.training.resuming import parse_settings
from clipnav.vl_tasks.vqa.settings import VqaConfig
from tests.conftest import ROOT

GROUPS = {name: group for group, names in COMMANDS.items() for name in names}
NAMES = sorted(GROUPS)
SCRIPTS = {
    *("demo", "evaluate_agent", "extract_features", "finetune_snli_ve", "finetune_vqa"),
    *("train_agent", "train_speaker", "visualise_episode"),
}


@pytest.mark.parametrize("name", NAMES)
def test_help_begins_with_the_purpose_and_shows_examples_line_by_line(name, run_command, capsys):
    with pytest.raises(SystemExit) as ended:
        run_command(name, "--help")
    assert ended.value.code == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].startswith(f"usage: clipnav {name} ")
    purpose = " ".join(shown[2 : shown.index("", 2)])
    assert purpose == summary(GROUPS[name], name)
    examples = [line for line in shown if line.startswith("$ ")]
    assert all(line.startswith(f"$ clipnav {name}") for line in examples)
    assert examples or name == "demo"
    assert any("--help" in line for line in shown)
    assert len(shown) <= 60
    assert "default: None" not in " ".join(line.strip(" │") for line in shown)


@dataclass(frozen=True)
class TwoLines:
    """Settings with a field whose docstring has two lines."""

    field: int = 3
    """First line,
    second line."""


def test_lines_of_a_field_are_joined_in_help(capsys):
    with pytest.raises(SystemExit):
        parse(TwoLines, "commands.any", None, ["--help"])
    assert "First line, second line. (default: 3)" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        parse_settings(TwoLines, TwoLines(4), ["--help"], None)
    assert "First line, second line. (default: 4)" in capsys.readouterr().out


def test_paragraphs_of_help_have_the_width_of_the_terminal(capsys, monkeypatch):
    columns = 60
    monkeypatch.setenv("COLUMNS", str(columns))
    sentence = "A text with --long-flags that is too long for a line. " * 5
    example = "$ clipnav any --with a very long example, which one wants to copy as it is"
    with pytest.raises(SystemExit):
        parse(TwoLines, "commands.any", f"Purpose.\n\n{example}\n\n{sentence}", ["--help"])
    shown = capsys.readouterr().out.splitlines()
    assert shown[:6] == ["usage: clipnav any [-h] [--field INT]", "", "Purpose.", "", example, ""]
    paragraph = shown[6 : shown.index("", 6)]
    assert " ".join(paragraph) == sentence.strip()
    assert columns - 20 < max(map(len, paragraph)) <= columns
    assert not any(line.endswith("-") for line in paragraph)


@pytest.mark.parametrize("name", NAMES)
def test_split_takes_one_split_and_splits_takes_several(name, run_command, capsys):
    with pytest.raises(SystemExit):
        run_command(name, "--help-all")
    values = dict(re.findall(r"(--splits?) (\S+)", capsys.readouterr().out))
    assert values.get("--split", "STR") in ("STR", "{None}|STR")
    assert values.get("--splits", "[STR") in ("[STR", "{[STR", "{None}|{[STR")


def test_help_fits_one_screen_and_help_all_lists_every_command_with_its_purpose(capsys):
    assert main([]) == 0
    shown = capsys.readouterr().out
    assert shown == help_text() + "\n"
    assert len(shown.splitlines()) <= 24
    assert main(["--help-all"]) == 0
    shown = capsys.readouterr().out
    for name in NAMES:
        assert re.search(rf"^  {name} +{re.escape(summary(GROUPS[name], name))}$", shown, re.M)


def test_every_module_of_a_command_is_listed():
    modules = (ROOT / "clipnav" / "commands").glob("*/*.py")
    commands = {path.stem for path in modules if "\ndef main(" in path.read_text("utf-8")}
    assert commands == {name.replace("-", "_") for name in NAMES}


def test_the_scripts_only_call_commands():
    scripts = {path.stem: path.read_text("utf-8") for path in (ROOT / "scripts").glob("*.py")}
    called = {
        stem: re.search(r"main\(\[\"([\w-]+)\", \*sys.argv\[1:\]\]\)", text)
        for stem, text in scripts.items()
    }
    assert set(called) == SCRIPTS
    assert all(match and match[1] in NAMES for match in called.values())
    assert {len(text.splitlines()) for text in scripts.values()} == {8}


def test_an_unknown_command_is_refused_with_a_suggestion(capsys):
    assert main(["train_agnt"]) == 2
    assert (
        capsys.readouterr().err
        == "clipnav train_agnt: no such command; did you mean train-agent?\n"
    )
    assert main(["xyz"]) == 2
    assert "clipnav --help-all lists all commands" in capsys.readouterr().err


def test_version(capsys):
    assert main(["--version"]) == 0
    assert re.fullmatch(r"clipnav \d+\.\d+\.\d+\n", capsys.readouterr().out)


def test_the_package_is_the_command():
    words = [sys.executable, "-m", "clipnav", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert re.fullmatch(r"clipnav \d+\.\d+\.\d+\n", done.stdout), done.stderr


@pytest.mark.parametrize(
    ("name", "may_change"),
    {
        "train-agent": RunConfig.MAY_CHANGE,
        "train-continuous-agent": ContinuousTrainConfig.MAY_CHANGE,
        "train-language-representation": RepresentationTrainConfig.MAY_CHANGE,
        "train-visual-representation": RepresentationTrainConfig.MAY_CHANGE,
        "train-waypoint-predictor": PredictorConfig.MAY_CHANGE,
        "finetune-vlm": FinetuneVlmConfig.MAY_CHANGE,
        "pretrain-house-clip": _MAY_CHANGE,
    }.items(),
)
def test_help_lists_the_flags_that_may_change(name, may_change, run_command, capsys):
    with pytest.raises(SystemExit):
        run_command(name, "--help-all")
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    (listed,) = re.findall(r"with its settings. Only (.*?) may change", shown)
    options = set(re.findall(r"--([a-z-]+)", shown.replace(listed, "")))
    flags = {name.replace("_", "-") for name in may_change - {"resume"}} & options
    assert set(re.findall(r"--([a-z-]+)", listed)) == flags


@pytest.mark.parametrize(
    ("arguments", "kind"),
    {
        "train-agent": TrainConfig,
        "train-agent --agent frontier": FrontierTrainConfig,
        "train-agent --agent map": MapTrainConfig,
        "train-agent --agent hamt": HistoryTrainConfig,
        "train-agent --agent etpnav": EtpNavTrainConfig,
        "pretrain-agent": MapPretrainConfig,
        "train-speaker": SpeakerTrainConfig,
        "train-continuous-agent": ContinuousTrainConfig,
        "finetune-vqa": VqaConfig,
    }.items(),
)
def test_help_shows_the_common_options_and_help_all_the_others(
    arguments, kind, run_command, capsys
):
    texts = []
    for flag in ("--help", "--help-all"):
        with pytest.raises(SystemExit):
            run_command(*arguments.split(), flag)
        texts.append(capsys.readouterr().out)
    common, every = (re.findall(r"^[│ ] --([\w.-]+)", text, re.MULTILINE) for text in texts)
    assert common == [name.replace("_", "-") for name in kind.COMMON]
    assert "--help-all shows all" in texts[0]
    assert set(common) < set(every)
    assert len(texts[0].splitlines()) <= 60
    assert len(common) <= 18 < 50 < len(every)


@dataclass(frozen=True)
class Nested:
    """Settings with a group."""

    COMMON: ClassVar = ("group.field", "first")

    first: int | None = None
    """First sentence. Second sentence."""
    limit: int | None = 5
    """Largest number; None for any."""
    is_odd: bool | None = None
    """As before by default."""
    group: tyro.conf.OmitArgPrefixes[TwoLines] = dataclasses.field(default_factory=TwoLines)
    """Text of the group."""


def test_help_has_short_descriptions_and_no_default_where_there_is_none(capsys):
    texts = []
    for flag in ("--help", "--help-all"):
        with pytest.raises(SystemExit):
            parse(Nested, "commands.any", "Purpose.", [flag])
        texts.append(" ".join(capsys.readouterr().out.replace("│", " ").split()))
    assert (
        "--field INT First line, second line. (default: 3) --first INT First sentence." in texts[0]
    )
    assert "Second" not in texts[0]
    assert "--first INT First sentence. Second sentence. --limit {None}|INT" in texts[1]
    assert "--is-odd {None,True,False} As before by default." in texts[1]
    assert "Text of the group." in texts[1]


def test_help_shows_the_values_that_none_stands_for(run_command, capsys):
    with pytest.raises(SystemExit):
        run_command("train-agent", "--dataset", "rxr", "--help-all")
    shown = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "named after the main settings. (default: runs/rxr-houses)" in shown
    assert f"default if not given. (default: {dataset_spec('rxr').max_episode_steps})" in shown


def test_documented_torchrun_commands_start_the_package():
    pages = "\n".join(path.read_text() for path in (ROOT / "docs").glob("*.md"))
    started = re.findall(r"^ +torchrun (.*)", pages, re.MULTILINE)
    assert len(started) >= 4
    assert all(re.match(r"--nproc-per-node \d -m clipnav [a-z-]+ ", words) for words in started)
