"""How often walks have been at the places to which an agent may go."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from agents.envdrop.visual import View

_NOWHERE = -1  # before a walk began; no candidate leads there


def padded(trails: Sequence[Sequence[int]]) -> np.ndarray:
    """(N, T) walks of nodes, the shorter ones filled up in front."""
    longest = max(len(trail) for trail in trails)
    return np.array([[_NOWHERE] * (longest - len(trail)) + [*trail] for trail in trails])


def visits(trails: np.ndarray, targets: np.ndarray) -> Tensor:
    """Count visits.

    Args:
        trails: (N, T) nodes of walks, from the start or what `padded` put before it to where each
            agent stands.
        targets: (N, K) nodes to which the candidates lead.

    Returns:
        (N, K) float32: how often each walk has been at a candidate's node; for stop, candidate 0,
        how often it had been where it is now.
    """
    counts = (trails[:, :, None] == targets[:, None]).sum(1)
    counts[:, 0] = (trails[:, :-1] == trails[:, -1:]).sum(1)
    return torch.from_numpy(counts.astype(np.float32))


def with_visits(view: View, trails: np.ndarray, targets: np.ndarray) -> View:
    """A view that tells what was visited.

    Args:
        view: What N agents see.
        trails: As for `visits`.
        targets: (V, candidates) nodes to which the candidates of all nodes of the world lead.
    """
    counts = visits(trails, targets[trails[:, -1], : view.mask.shape[1]])
    return view._replace(visits=counts.to(view.mask.device))
