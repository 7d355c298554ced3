"""Settings of a run whose agent is not known beforehand."""

from pathlib import Path

from clipnav.agents.settings.runs import AgentConfig
from clipnav.agents.specs import AgentSpec, agent_spec
from clipnav.storage.errors import UnknownNameError
from clipnav.storage.json_files import read_json
from clipnav.training.settings import CONFIG, read_config


def run_spec(path: Path) -> AgentSpec:
    """Return the row of the agent of a settings file or of a run's folder; see `agent_of`."""
    try:
        return agent_spec(agent_of(path))
    except UnknownNameError as error:
        raise UnknownNameError(f"{path}: a run of the agent {error}") from error


def agent_kind(path: Path) -> type[AgentConfig]:
    """Return the class of the settings in a file or in the folder of a run; see `run_spec`."""
    return run_spec(path).part("settings")


def agent_of(path: Path) -> str:
    """Return the agent of a settings file or of a run's folder, pre-training included.

    A file that is missing or damaged counts as that of a follower, whose reader reports it.
    """
    path = path / CONFIG if path.is_dir() else path
    if not path.is_file():
        return "follower"
    values = read_json(path, "correct the file, or train the run again", allow_nan=True)
    agent = values.get("agent") if isinstance(values, dict) else None
    # Not "package.module:SPEC": a file must not choose what is imported.
    return agent if isinstance(agent, str) and ":" not in agent else "follower"


def read_agent_config(run: Path) -> AgentConfig:
    """Read the settings of a run of clipnav train-agent."""
    return read_config(run, agent_kind(run))
