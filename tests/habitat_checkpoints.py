"""Checkpoints as the training programs of ETPNav and VLN-CE save them: an object with settings,
the state of an optimiser, and names with the prefix of DistributedDataParallel."""

import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

# What ETPNav 8dec13a trains with for R2R-CE, except those marked.
ETPNAV_SETTINGS: dict[str, Any] = {
    "MODEL": {
        "task_type": "r2r",
        "policy_name": "PolicyViewSelectionETP",
        "merge_ghost": True,
        "consume_ghost": False,  # marked: published True
        "RGB_ENCODER": {"output_size": 512},
    },
    "IL": {
        "max_traj_len": 7,  # marked: published 15
        "max_text_len": 60,  # marked: published 80
        "loc_noise": 0.75,  # marked: published 0.5
        "expert_policy": "ndtw",  # marked: published spl
        "sample_ratio": 0.75,
        "decay_interval": 3000,
        "iters": 15000,
        "lr": 1e-5,
        "tryout": True,
        "waypoint_aug": True,
    },
    "TORCH_GPU_IDS": [0, 1],
    "EVAL": {"LANGUAGES": ("en-US", "en-IN"), "SPLIT": None},
}


class Config(dict[str, Any]):
    """Stand-in for habitat's configuration: a dictionary with attributes, as yacs pickles it."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(
            {name: Config(one) if isinstance(one, dict) else one for name, one in values.items()}
        )
        self.__dict__ |= {
            "__immutable__": True,
            "__deprecated_keys__": {"OLD"},
            "__renamed_keys__": {},
            "__new_allowed__": True,
        }


def save_checkpoint(
    path: Path,
    weights: dict[str, torch.Tensor],
    settings: dict[str, Any],
    old_format: bool = False,
    **more: Any,
) -> None:
    """Save a checkpoint whose configuration is of a class that is not importable afterwards.

    Args:
        old_format: Write the format of PyTorch before 1.6.
        more: Further entries.
    """
    parameter = torch.nn.Parameter(torch.ones(4))
    optimiser = torch.optim.AdamW([parameter])
    parameter.sum().backward()
    optimiser.step()
    content = {"state_dict": weights, "config": Config(settings), **more}
    content |= {"optim_state": optimiser.state_dict(), "iteration": 12_000}
    name = "habitat.config.default"
    module: Any = ModuleType(name)
    module.Config, old_name = Config, Config.__module__
    names = ("habitat", "habitat.config", name)
    try:
        sys.modules |= dict.fromkeys(names, module)
        Config.__module__ = name
        torch.save(content, path, _use_new_zipfile_serialization=not old_format)
    finally:
        Config.__module__ = old_name
        for one in names:
            del sys.modules[one]
