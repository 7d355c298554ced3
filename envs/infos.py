"""Gymnasium's layout of the infos of many agents."""

from typing import Any

import numpy as np


def masked(arrays: dict[str, Any], mask: np.ndarray) -> dict[str, Any]:
    """Put beside each entry `name` an entry `_name` that says which agents it speaks of.

    Args:
        arrays: Entries with one value per agent.
        mask: (B,) bool, copied for each entry.
    """
    return {**arrays, **{f"_{name}": mask.copy() for name in arrays}}


def scattered(arrays: dict[str, np.ndarray], mask: np.ndarray) -> dict[str, Any]:
    """Spread values of the M agents of a mask over all B, zero elsewhere, and mask them.

    Args:
        arrays: Entries of shape (M,).
        mask: (B,) bool with M times True.
    """
    spread = {name: np.zeros(len(mask), dtype=array.dtype) for name, array in arrays.items()}
    for name, array in arrays.items():
        spread[name][mask] = array
    return masked(spread, mask)


def finals(
    observation: dict[str, np.ndarray], info: dict[str, Any], ended: np.ndarray
) -> dict[str, Any]:
    """Entries `final_obs` and `final_info` of a step that restarts what has ended.

    Args:
        observation: Arrays of B agents before the restart.
        info: Masked info before the restart.
        ended: (B,) bool.
    """
    final_obs = np.full(len(ended), None, dtype=object)
    for agent in np.flatnonzero(ended):
        final_obs[agent] = {name: np.array(array[agent]) for name, array in observation.items()}
    final_info = {
        name: values & ended if name.startswith("_") else values for name, values in info.items()
    }
    return masked({"final_obs": final_obs, "final_info": final_info}, ended)
