"""Factories for `gymnasium.make` and `gymnasium.make_vec`, which take plain keyword arguments.

Code that already has a loaded split calls `VlnVectorEnv` or `VlnEnv` directly.
"""

import inspect
from dataclasses import fields
from typing import Any

from gymnasium.vector import AutoresetMode

from clipnav.envs.arguments import check_argument_names
from clipnav.envs.datasets import with_dataset_of_id
from clipnav.envs.episodes.splits import LoadedSplit, load_split
from clipnav.envs.navigation.settings import PICTURES, EnvSettings
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.envs.navigation.vln_env import VlnEnv
from clipnav.storage.errors import UserError

_OF_SPLIT = tuple(inspect.signature(load_split).parameters)
_OF_SETTINGS = tuple(field.name for field in fields(EnvSettings))


def make_vln_env(own_dataset: str | None = None, **arguments: Any) -> VlnEnv:
    """Load a split and build an environment with one agent."""
    return VlnEnv(*_load("VlnEnv", own_dataset, arguments))


def make_vln_vector_env(
    num_envs: int = 1,
    autoreset_mode: AutoresetMode | str = AutoresetMode.NEXT_STEP,
    own_dataset: str | None = None,
    **arguments: Any,
) -> VlnVectorEnv:
    """Load a split and build an environment with a batch of agents."""
    split, settings = _load("VlnVectorEnv", own_dataset, arguments)
    return VlnVectorEnv(split, num_envs, settings, autoreset_mode)


# gymnasium.make reads here which render modes it can wrap ("human", "rgb_array_list").
make_vln_env.metadata = VlnEnv.metadata  # type: ignore[attr-defined]


def _load(
    env: str, own_dataset: str | None, arguments: dict[str, Any]
) -> tuple[LoadedSplit, EnvSettings]:
    """Sort arguments into those of the split and those of the settings, and load the split."""
    arguments = with_dataset_of_id(arguments, own_dataset)
    check_argument_names(env, arguments, (*_OF_SPLIT, *_OF_SETTINGS))
    own = {name: value for name, value in arguments.items() if name in _OF_SETTINGS}
    settings = EnvSettings(**own)
    of_split = {name: value for name, value in arguments.items() if name not in own}
    if settings.observe in PICTURES:
        features = of_split.get("features")
        if not (features is None or (isinstance(features, str) and features == "none")):
            raise UserError(
                f"features has no effect with observe={settings.observe!r}, because pictures "
                "replace features; leave it out"
            )
        of_split["features"] = "none"
    split = load_split(**of_split)
    return split, settings
