"""Settings of a run whose agent is not known beforehand."""

from pathlib import Path

from clipnav.agents.settings.runs import AgentConfig
from clipnav.agents.specs import AgentSpec, agent_spec
from clipnav.storage.errors import UnknownNameError
from clipnav.storage.json_files import read_json
from clipnav.storage.spec_table import is_row
from clipnav.training.settings import CONFIG, ROW, read_config


def run_spec(path: Path) -> AgentSpec:
    """Return the row of the agent of a settings file or of a run's folder, pre-training included.

    A file that is missing or damaged counts as that of a follower, whose reader reports it.
    """
    file = path / CONFIG if path.is_dir() else path
    hint = "correct the file, or train the run again"
    values = read_json(file, hint, allow_nan=True) if file.is_file() else {}
    values = values if isinstance(values, dict) else {}
    agent = values.get("agent")
    try:
        return agent_spec(agent if isinstance(agent, str) else "follower")
    except UnknownNameError as error:
        row, hint = values.get(ROW), ""
        if isinstance(row, str) and is_row(row):
            hint = (
                f". It was trained with --agent {row}: if you trust that module, add this flag to "
                "the command, or call clipnav.register_agent with the row"
            )
        raise UnknownNameError(f"{path}: a run of the agent {error}{hint}") from error


def agent_kind(path: Path) -> type[AgentConfig]:
    """Return the class of the settings in a file or in the folder of a run; see `run_spec`."""
    return run_spec(path).subclass("settings", AgentConfig)


def read_agent_config(run: Path) -> AgentConfig:
    """Read the settings of a run of clipnav train-agent."""
    return read_config(run, agent_kind(run))
