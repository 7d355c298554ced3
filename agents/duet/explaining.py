"""Details of the decisions of a map agent, for traces."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.acting.rollout import STOP
from clipnav.agents.duet.model import Scores
from clipnav.agents.duet.states import MapState
from clipnav.agents.maps.describing import action_probabilities, known_map
from clipnav.agents.maps.experts import STOP_TOKEN
from clipnav.agents.maps.known_maps import KnownMaps
from clipnav.agents.maps.route_walker import Choice


def describe_decision(
    maps: KnownMaps, state: MapState, scores: Scores, choice: Choice
) -> dict[str, Iterable[Any]]:
    """Return details of the decisions of R agents, see `RouteWalker.describe`."""
    slots = state.tokens.slots
    chances = torch.softmax(scores.decision.detach().float(), 1).cpu().numpy()
    probabilities = action_probabilities(maps, state.rows, slots, chances)
    probabilities[:, STOP] = chances[:, STOP_TOKEN]
    node_chances = _by_slot(np.where(state.forbidden, np.nan, chances), state, maps)
    node_scores = _by_slot(_array(scores.global_scores), state, maps)
    decided = zip(
        state.rows.tolist(), node_chances, *choice, _array(scores.gate), node_scores, strict=True
    )
    known_maps = [known_map(maps, *each) for each in decided]
    return {"probabilities": probabilities, "known_map": known_maps}


def _by_slot(values: np.ndarray, state: MapState, maps: KnownMaps) -> np.ndarray:
    """Return values (R, N) of the map tokens as values (R, S) of the slots; NaN without one."""
    slots = state.tokens.slots
    by_slot = np.full((len(slots), maps.nodes.shape[1]), np.nan)
    row, token = np.nonzero(slots >= 0)
    by_slot[row, slots[row, token]] = values[row, token]
    return by_slot


def _array(scores: Tensor) -> np.ndarray:
    return scores.detach().float().cpu().numpy()
