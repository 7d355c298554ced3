"""Details of decisions on maps, for traces."""

from typing import Any

import numpy as np

from clipnav.agents.acting.rollout import STOP
from clipnav.agents.maps.known_maps import KnownMaps

_DIGITS = 4


def action_probabilities(
    maps: KnownMaps, rows: np.ndarray, slots: np.ndarray, chances: np.ndarray
) -> np.ndarray:
    """Return the probabilities (R, C + 1) of stop and of the candidates of R agents.

    That of a candidate is the sum over all nodes whose route starts there. Stop is 0.

    Args:
        rows: (R,) episodes.
        slots: (R, N) slots; -1 for padding.
        chances: (R, N) probability of going to each.
    """
    candidates, here = maps.candidate_slots(rows), maps.current[rows]
    first = maps.next_hops[rows[:, None], here[:, None], slots]  # (R, N)
    same = (first[:, :, None] == candidates[:, None]) & (slots >= 0)[:, :, None]
    same &= (candidates >= 0)[:, None]
    actions = np.zeros((len(rows), candidates.shape[1] + 1))
    actions[:, STOP + 1 :] = (same * chances[:, :, None]).sum(1)
    return actions


def known_map(
    maps: KnownMaps,
    row: int,
    chances: np.ndarray,
    target: int,
    ends: bool,
    gate: float | None = None,
    global_scores: np.ndarray | None = None,
) -> dict[str, Any]:
    """Describe the map of one agent.

    Args:
        chances: (S,) probability of each slot; NaN for nodes that cannot be chosen.
        global_scores: (S,) scores of its global branch.
    """
    ids = maps.geometry.world.viewpoint_ids
    nodes = []
    for slot in range(int(maps.counts[row])):
        node: dict[str, Any] = {"viewpoint": ids[maps.nodes[row, slot]]}
        node["visited"] = bool(maps.visit_steps[row, slot])
        if not np.isnan(chances[slot]):
            node["probability"] = round(min(float(chances[slot]), 1.0), _DIGITS)
            if global_scores is not None:
                node["global_score"] = round(float(global_scores[slot]), _DIGITS)
        nodes.append(node)
    stays = target == maps.current[row]
    return {
        "nodes": nodes,
        "gate": None if gate is None else round(float(gate), _DIGITS),
        "target": None if stays else ids[maps.nodes[row, target]],
        "ends": bool(ends),
    }
