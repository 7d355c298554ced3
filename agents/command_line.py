"""Command lines of the agents: settings whose defaults depend on other settings."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import tyro

from agents.configs import Dataset, TrainConfig, World, differences, from_json, preset

# What may change when a run goes on. All else would make it another run.
_MAY_CHANGE = frozenset(
    "resume output iterations minutes evaluate_every data_dir features threads device".split()
)


def parse_train(arguments: Sequence[str]) -> TrainConfig:
    """Settings of a training run from its command line.

    --dataset and --world are read first, for they choose the defaults of the rest; --resume takes
    all defaults from the run that it names.

    Raises:
        FileNotFoundError: --resume names no run.
        ValueError: A flag contradicts the run to resume; names both values.
    """
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--dataset", default="r2r")
    first.add_argument("--world", default="houses")
    first.add_argument("--resume", type=Path)
    known, _ = first.parse_known_args(list(arguments))
    if known.resume is not None:
        return _resumed(known.resume, arguments)
    # A name that is none of the choices is refused below, with the list of them.
    dataset = known.dataset if known.dataset in get_args(Dataset) else "r2r"
    world = known.world if known.world in get_args(World) else "houses"
    return tyro.cli(TrainConfig, default=preset(dataset, world), args=list(arguments))


def _resumed(run: Path, arguments: Sequence[str]) -> TrainConfig:
    path = run / "config.json"
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; --resume wants a folder of train_agent.py")
    saved = from_json(path.read_text(encoding="utf-8"), str(path))
    config = tyro.cli(TrainConfig, default=saved, args=list(arguments))
    contradictions = differences(saved, config, _MAY_CHANGE)
    if contradictions:
        raise ValueError(
            f"{path} and the command line differ in {'; '.join(contradictions)}; "
            "leave the flags out to go on with the run, or start another one without --resume"
        )
    return config
