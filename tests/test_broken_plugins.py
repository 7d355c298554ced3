"""Installed packages with broken rows: only who asks for a row meets it, and learns whose it is."""

import logging
import os
import subprocess
import sys

import gymnasium as gym
import pytest

from clipnav import DatasetSpec, UserError, register_dataset
from clipnav.agents import specs as agents
from clipnav.envs import datasets
from clipnav.storage.spec_table import SpecTable
from clipnav.vl_tasks import specs as tasks
from clipnav.vl_tasks.specs import read_question_config

MODULE = """
from dataclasses import dataclass
from clipnav import AgentConfig, AgentSpec, DatasetSpec, TaskSpec

@dataclass(frozen=True)
class Config(AgentConfig):
    pass

def defaults(dataset, world, preset, flag):
    return Config(dataset=dataset, world=world)

def fail(*_):
    return 1 / 0

def agent(**changed):
    names = dict(settings="Config", defaults="defaults", learner="fail", load="fail")
    parts = {name: f"dubious:{part}" for name, part in names.items()}
    return AgentSpec(**{"name": "broken", "label": "broken", **parts, **changed})

def task(**changed):
    names = dict(settings="Config", defaults="fail", task="fail")
    return TaskSpec("broken", **{name: f"dubious:{part}" for name, part in names.items()})

"""
ENTRY = "the entry point 'broken = dubious:ROW' of clipnav.agents of the package dubious-package"
IMPORT = f"{ENTRY}: cannot be imported"
PART = "dubious:ROW: its part"
NOTE = "This is an error in {} of dubious:ROW, not of clipnav."
REFUSED = [
    ("ROW = 1 +", IMPORT),
    ("import absent", f"{IMPORT} (No module named 'absent'); correct the name, or repair or"),
    ("raise SystemExit(3)", f"{IMPORT} (SystemExit: 3)"),
    ("", f"{IMPORT} (module 'dubious' has no attribute 'ROW')"),
    ("ROW = 3", f"{ENTRY}: is a int, not of type AgentSpec; correct the name"),
    ("ROW = AgentSpec", f"{ENTRY}: is a type, not of type AgentSpec"),
    ("ROW = task()", f"{ENTRY}: is a TaskSpec, not of type AgentSpec"),
    ("ROW = agent(colour=1)", f"{IMPORT} (AgentSpec.__init__() got an unexpected keyword argum"),
    ("ROW = agent(api=2)", f"{ENTRY}: the agent 'broken': is for version 2 of clipnav's rows, but"),
    ("ROW = agent(name='map')", f"{ENTRY}: the name of its row is 'map'; make them equal"),
    ("ROW = agent(settings='dubious:gone')", f"{PART} settings, dubious:gone: cannot be imported"),
    ("ROW = agent(settings=None)", f"{PART} settings, None: cannot be imported"),
    ("ROW = agent(settings='builtins:int')", f"{PART} settings, builtins:int, is no subclass of"),
    ("ROW = agent(defaults='builtins:print')", f"{PART} defaults, builtins:print, returns a NoneT"),
    ("ROW = agent(learner='absent:it')", f"{PART} learner, absent:it: cannot be imported"),
]
FAILING = [
    ("ROW = agent(defaults='dubious:fail')", ZeroDivisionError, "defaults"),
    ("ROW = agent(defaults='dubious:__name__')", TypeError, "defaults"),
    ("ROW = agent()", ZeroDivisionError, "learner"),
]


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Function that installs a package of entry points and of the end of its module."""

    def install(entry_points, end="", package="dubious-package"):
        about = tmp_path / f"{package.replace('-', '_')}-1.0.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Name: {package}\nVersion: 1.0\n")
        (about / "entry_points.txt").write_text(entry_points)
        (tmp_path / "dubious.py").write_text(MODULE + end)
        return tmp_path

    monkeypatch.syspath_prepend(tmp_path)
    for table in SpecTable._tables.values():
        monkeypatch.setattr(table, "_rows", dict(table._rows))
        monkeypatch.setattr(table, "_warned", set())
        monkeypatch.setattr(table, "_imports", True)
    yield install
    sys.modules.pop("dubious", None)


@pytest.mark.parametrize(("end", "message"), REFUSED)
def test_a_broken_agent_is_refused_with_its_package_and_entry(end, message, install, run_command):
    folder = install("[clipnav.agents]\nbroken = dubious:ROW\n", end)
    with pytest.raises(UserError) as caught:
        run_command("train-agent", "--agent", "broken", "--output", folder / "run")
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("end", "error", "part"), FAILING)
def test_an_error_in_an_agent_keeps_its_traceback_and_names_it(
    end, error, part, install, run_command
):
    folder = install("[clipnav.agents]\nbroken = dubious:ROW\n", end)
    with pytest.raises(error) as caught:
        run_command("train-agent", "--agent", "broken", "--output", folder / "run")
    assert caught.value.__notes__ == [NOTE.format(part)]


@pytest.mark.parametrize(
    ("entry_points", "name", "message"),
    [
        ("my data = dubious:ROW", "my data", "a name consists of letters, digits, _, - and ."),
        ("../up = dubious:ROW", "../up", "a name consists of letters, digits, _, - and ."),
        ("broken = du bious", "broken", "the entry point 'broken = du bious' of clipnav.agents"),
        ("broken = dubious:ROW\nbroken = dubious:OTHER", "broken", "have one name; uninstall all"),
    ],
)
def test_strange_entry_points_are_refused(entry_points, name, message, install):
    install(f"[clipnav.agents]\n{entry_points}\n", "ROW = OTHER = agent()")
    with pytest.raises(UserError, match="package dubious-package") as caught:
        agents.agent_spec(name)
    assert message in str(caught.value)


def test_who_does_not_ask_for_a_broken_row_does_not_meet_it(install):
    groups = ("agents", "datasets", "tasks")
    strange = "my data = absent:ROW\nbroken = absent:ROW\nempty =\n"
    folder = install("".join(f"[clipnav.{group}]\n{strange}" for group in groups), "")
    program = (
        "import sys; import clipnav; from clipnav.cli import main\n"
        "main(['check-instructions', '--help'])"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    words = [sys.executable, "-c", program]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_command_that_asks_all_tasks_warns_once_of_a_broken_one(install, tmp_path, caplog):
    install("[clipnav.tasks]\nbroken = dubious:ROW\nmy data = dubious:ROW\n", "import absent")
    (tmp_path / "config.json").write_text('{"command": "clipnav finetune unknown"}')
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            with pytest.raises(UserError, match="was written by clipnav finetune unknown"):
                read_question_config(tmp_path)
    (warning,) = caplog.messages
    assert warning.startswith(
        "the entry point 'broken = dubious:ROW' of clipnav.tasks of the package dubious-package: "
        "cannot be imported"
    )


def test_a_broken_task_or_dataset_names_its_row(install):
    install("[clipnav.tasks]\nbroken = dubious:ROW\n", "ROW = task()")
    message = r"dubious:ROW: its part settings, dubious:Config, is no subclass of RunConfig"
    with pytest.raises(UserError, match=message):
        tasks.parse_task("broken", [])


@pytest.mark.parametrize("name", ["R2R", "R2R-CE", "GOAT"])
def test_a_dataset_does_not_change_the_ids_of_another_one(name, install):
    ids = f"{name}-CLIP-v0", "R2R-CE-CLIP-v0"
    limits = [gym.registry[one].max_episode_steps for one in ids]
    install(f"[clipnav.datasets]\n{name} = dubious:ROW\n", f"ROW = DatasetSpec('{name}', ('x',))")
    datasets.register_ids()
    message = f"the dataset '{name}': ids of its environments, such as {name}-CLIP-v0, are those"
    with pytest.raises(UserError, match=message):
        datasets.dataset_spec(name)
    with pytest.raises(UserError, match=message):
        register_dataset(DatasetSpec(name, ("x",), max_episode_steps=3))
    assert [gym.registry[one].max_episode_steps for one in ids] == limits
