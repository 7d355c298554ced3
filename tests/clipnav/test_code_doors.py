"""No file selects code: every door that reads a run or settings, with a planted module."""

import json
import shlex
import shutil
import sys
from contextlib import nullcontext, suppress
from pathlib import Path

import pytest

import clipnav
from clipnav import UserError
from clipnav.agents import specs
from clipnav.agents.continuous.tasks import load_continuous_run
from clipnav.agents.settings import agent_kind, read_agent_config
from clipnav.storage.spec_table import code_named_in, named_object
from clipnav.vl_tasks.specs import read_question_config
from tests.conftest import ROOT

PLANTED = """
from pathlib import Path
from clipnav import AgentSpec

Path(__file__).with_name("ran").touch()
SPEC = AgentSpec("planted", "planted", *["planted:part"] * 4)
"""
SAMPLE = ROOT / "agents" / "sample_run"

OTHER = "was written by clipnav train-agent, but"
AGENT = r"planted:SPEC: no such agent; choose"
FILE = "names a module of Python, which a file must not select"
COMMANDS = [
    ("evaluate-agent RUN", AGENT),
    ("evaluate-agent RUN --traces OUT", AGENT),
    ("evaluate-agent SAMPLE --search.method beam --search.speaker RUN", OTHER),
    ("visualise RUN --export OUT.html", AGENT),
    ("visualise RUN --environment continuous --export OUT.html", AGENT),
    ("bench run --suite smoke@1 --agent RUN --output OUT.json", AGENT),
    ("bench run --suite smoke@1 --config RUN/config.toml --output OUT.json", FILE),
    ("bench run --suite smoke@1 --config RUN/agents.toml --output OUT.json", FILE),
    ("push RUN file:OUT", AGENT),
    *((f"train-agent --agent {name} --start-from RUN", AGENT) for name in specs.agent_names()),
    ("train-agent --resume RUN", AGENT),
    ("train-agent --config RUN", AGENT),
    ("train-agent --config RUN/config.json", AGENT),
    ("train-agent --config RUN/config.toml", FILE),
    ("train-agent --language-representation RUN", OTHER),
    ("train-agent --visual-representation RUN", OTHER),
    ("train-agent --back-translation.speaker RUN", OTHER),
    ("compare-agents --rows 'a=--start-from RUN' b= --seeds 1 --output OUT", AGENT),
    ("compare-agents --config RUN/rows.toml --output OUT", FILE),
    ("compare-agents --config RUN/quoted.toml --output OUT", FILE),
    ("pretrain-agent --resume RUN", OTHER),
    ("pretrain-agent --config RUN", OTHER),
    ("train-speaker --resume RUN", OTHER),
    ("train-language-representation --resume RUN", OTHER),
    ("export-demonstrations --policy RUN --output OUT", AGENT),
    ("export-demonstrations --format lerobot --policy RUN --output OUT", AGENT),
    ("evaluate-waypoint-agent RUN", AGENT),
    ("evaluate-continuous-agent RUN", AGENT),
    ("train-continuous-agent --resume RUN", OTHER),
    ("evaluate-vlm --runs RUN --url http://localhost:1 --model m --output OUT", AGENT),
    ("finetune vqa --resume RUN", OTHER),
    ("finetune-vqa --config RUN", OTHER),
    ("answer RUN/config.json what? --run RUN", OTHER),
    ("caption RUN/config.json --run RUN", OTHER),
    ("pretrain-house-clip --resume RUN", OTHER),
]
FUNCTIONS = [
    lambda run: clipnav.load_run(run, "val_unseen"),
    agent_kind,
    read_agent_config,
    load_continuous_run,
    read_question_config,
]


@pytest.fixture
def run(request, tmp_path, monkeypatch) -> Path:
    """Run whose agent is a planted module, which can be imported."""
    run = shutil.copytree(SAMPLE, tmp_path / "run")
    settings = json.loads((run / "config.json").read_text())
    settings |= getattr(request, "param", {"agent": "planted:SPEC", "row": "planted:SPEC"})
    (run / "config.json").write_text(json.dumps(settings))
    (run / "config.toml").write_text('agent = "planted:SPEC"\n')
    (run / "agents.toml").write_text(f"agent = ['{run}', 'planted:SPEC@{run}']\n")
    (run / "rows.toml").write_text("rows = ['a=--agent planted:SPEC', 'b=']\n")
    (run / "quoted.toml").write_text("rows = ['a=--agent plan\\ted:SPEC', 'b=']\n")
    (run / "planted.py").write_text(PLANTED)
    monkeypatch.syspath_prepend(run)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(specs._TABLE, "_rows", dict(specs._TABLE._rows))
    yield run
    assert not (run / "ran").exists()
    assert sys.modules.pop("planted", None) is None


@pytest.mark.parametrize(("command", "message"), COMMANDS)
def test_no_command_runs_code_that_a_file_names(command, message, run, run_command):
    for word, path in {"RUN": run, "SAMPLE": SAMPLE, "OUT": run.parent / "out"}.items():
        command = command.replace(word, path.as_posix())
    with pytest.raises((UserError, OSError), match=message):
        run_command(*shlex.split(command))


@pytest.mark.parametrize(
    "run",
    [
        {"agent": "planted:SPEC"},
        {"agent": "planted", "row": "planted:SPEC"},
        {"dataset": "planted:SPEC"},
        {"command": "planted:SPEC"},
        {"command": "clipnav finetune planted:SPEC", "task": "planted:SPEC"},
    ],
    indirect=True,
)
@pytest.mark.parametrize("function", FUNCTIONS)
def test_no_function_runs_code_that_a_file_names(function, run):
    with suppress(UserError):  # of files that the function does not read, or does not refuse
        function(run)


def test_the_planted_module_runs_if_the_command_line_names_it(run, run_command):
    with pytest.raises(UserError, match="planted:SPEC: its part settings, planted:part: cannot"):
        run_command("train-agent", "--agent", "planted:SPEC", "--output", run.parent / "out")
    assert sys.modules.pop("planted")
    (run / "ran").unlink()


@pytest.mark.parametrize(
    ("word", "allowed"),
    [
        ("planted:SPEC", True),
        ("--agent=planted:SPEC", True),
        ("part=planted:SPEC@runs/a", True),
        ("a=--agent 'planted:SPEC' --seed 1", True),
        ("planted:SPECIAL", False),
        ("my.planted:SPEC", False),
        ("unplanted:SPEC@runs/a", False),
        ("runs/planted:SPEC/a", False),
    ],
)
def test_a_name_of_code_is_a_whole_word(word, allowed, run):
    with code_named_in([word]), nullcontext() if allowed else pytest.raises(UserError):
        named_object("planted:SPEC")
    assert (sys.modules.pop("planted", None) is not None) == allowed
    (run / "ran").unlink(missing_ok=True)
