"""Settings of a run whose agent is not known beforehand."""

from pathlib import Path
from typing import Literal

from clipnav.agents.settings.frontier_agent import FrontierTrainConfig
from clipnav.agents.settings.history_agent import HistoryTrainConfig
from clipnav.agents.settings.map_agent import MapTrainConfig
from clipnav.agents.settings.runs import TrainConfig
from clipnav.storage.json_files import read_json
from clipnav.training.settings import CONFIG, read_config

AgentName = Literal["follower", "frontier", "map", "hamt"]
AnyTrainConfig = TrainConfig | FrontierTrainConfig | MapTrainConfig | HistoryTrainConfig

_KINDS: dict[AgentName, type[AnyTrainConfig]] = {
    "follower": TrainConfig,
    "frontier": FrontierTrainConfig,
    "map": MapTrainConfig,
    "hamt": HistoryTrainConfig,
}


def settings_kind(agent: str | None) -> type[AnyTrainConfig]:
    """Return the class of the settings of an agent; an unknown name counts as a follower."""
    return next((kind for name, kind in _KINDS.items() if name == agent), TrainConfig)


def agent_kind(path: Path) -> type[AnyTrainConfig]:
    """Return the class of the settings in a file or in the folder of a run.

    A file that is missing or damaged counts as that of a follower, whose reader reports it.
    """
    return _KINDS[agent_of(path)]


def agent_of(path: Path) -> AgentName:
    """Return the agent of a settings file or of a run's folder, pre-training included."""
    path = path / CONFIG if path.is_dir() else path
    if not path.is_file():
        return "follower"
    values = read_json(path, "correct the file, or train the run again", allow_nan=True)
    agent = values.get("agent") if isinstance(values, dict) else None
    names: list[AgentName] = [name for name in _KINDS if name == agent]
    return names[0] if names else "follower"


def read_agent_config(run: Path) -> AnyTrainConfig:
    """Read the settings of a run of clipnav train-agent.

    Raises:
        FileNotFoundError, UserError: As for `clipnav.training.settings.read_config`.
    """
    return read_config(run, agent_kind(run))
