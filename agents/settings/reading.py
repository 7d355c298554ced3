"""Settings of a run whose agent is not known beforehand."""

from pathlib import Path
from typing import Literal

from agents.settings.map_agent import MapTrainConfig
from agents.settings.runs import TrainConfig
from storage.json_files import read_json
from training.settings import CONFIG, read_config


def agent_kind(path: Path) -> type[TrainConfig] | type[MapTrainConfig]:
    """Return the class of the settings in a file or in the folder of a run.

    A file that is missing or damaged counts as that of a follower, whose reader reports it.
    """
    return MapTrainConfig if agent_of(path) == "map" else TrainConfig


def agent_of(path: Path) -> Literal["follower", "map"]:
    """Return the agent of a settings file or of a run's folder, pre-training included."""
    path = path / CONFIG if path.is_dir() else path
    if not path.is_file():
        return "follower"
    values = read_json(path, "train the run again", allow_nan=True)
    is_map = isinstance(values, dict) and values.get("agent") == "map"
    return "map" if is_map else "follower"


def read_agent_config(run: Path) -> TrainConfig | MapTrainConfig:
    """Read the settings of a run of clipnav train-agent.

    Raises:
        FileNotFoundError, ValueError: As for `training.settings.read_config`.
    """
    return read_config(run, agent_kind(run))
