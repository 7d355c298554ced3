"""Details of a decision on a map, for traces."""

from typing import Any

import numpy as np
import torch

from agents.acting.rollout import STOP
from agents.map_transformer.experts import STOP_TOKEN
from agents.map_transformer.known_maps import KnownMaps
from agents.map_transformer.model import Scores
from agents.map_transformer.states import MapState

_DIGITS = 4


def action_probabilities(maps: KnownMaps, state: MapState, scores: Scores) -> np.ndarray:
    """Return the (R, C + 1) probabilities of [stop] and of the candidates of R states.

    That of a candidate is the sum over all nodes whose route starts there.
    """
    chances = torch.softmax(scores.decision.detach().float(), 1).cpu().numpy()
    actions = np.zeros((len(chances), state.candidates.shape[1] + 1))
    actions[:, STOP] = chances[:, STOP_TOKEN]
    here, slots = maps.current[state.rows], state.tokens.slots
    first = maps.next_hops[state.rows[:, None], here[:, None], slots]  # (R, N)
    same = (first[:, :, None] == state.candidates[:, None]) & (slots >= 0)[:, :, None]
    same &= (state.candidates >= 0)[:, None]
    actions[:, 1:] = (same * chances[:, :, None]).sum(1)
    return actions


def known_map(
    maps: KnownMaps, state: MapState, scores: Scores, row: int, target: int, ends: bool
) -> dict[str, Any]:
    """Describe the map and the scores of one state.

    Args:
        maps: Known maps.
        state: R states.
        scores: Their scores.
        row: Index of the state, 0..R-1.
        target: Slot of the node that the agent goes to.
        ends: Whether the episode ends there.

    Returns:
        `gate`; `target`, the viewpoint id or None if the agent stays; `ends`; and `nodes`, a dict
        for each node in the order of first sight: `viewpoint`, `visited`, and, for nodes that can
        be chosen, `probability` and `global_score`.
    """
    episode, tokens = state.rows[row], state.tokens
    chances = torch.softmax(scores.decision[row].detach().float(), 0).tolist()
    global_scores = scores.global_scores[row].detach().tolist()
    ids = maps.geometry.world.viewpoint_ids
    nodes: dict[int, dict[str, Any]] = {}
    for token, slot in enumerate(tokens.slots[row].tolist()):
        if slot < 0:
            continue
        node: dict[str, Any] = {"viewpoint": ids[maps.nodes[episode, slot]]}
        node["visited"] = bool(tokens.visited[row, token])
        if not state.forbidden[row, token]:
            node["probability"] = round(min(chances[token], 1.0), _DIGITS)
            node["global_score"] = round(global_scores[token], _DIGITS)
        nodes[slot] = node
    stays = target == maps.current[episode]
    return {
        "nodes": [nodes[slot] for slot in sorted(nodes)],
        "gate": round(float(scores.gate[row]), _DIGITS),
        "target": None if stays else ids[maps.nodes[episode, target]],
        "ends": bool(ends),
    }
