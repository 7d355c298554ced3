"""What the network reads of R agents at their current viewpoints, as numpy arrays."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from clipnav.agents.duet.objects import NodeObjects
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.maps.topological_maps import START, MapTokens, TopologicalMaps
from clipnav.storage.features.view_grid import VIEW_ELEVATIONS, VIEW_HEADINGS


class NodeSources(NamedTuple):
    """Panorama tokens that the features of map nodes are averages of.

    A visited node has the mean over the tokens of its last panorama. An unvisited node has the mean
    of the candidate tokens that point to it, one per visited neighbour (DUET `r2r/agent.py`,
    `GraphMap.update_node_embed`).

    Attributes:
        visited: (2, M) state and map token of each visited node.
        visited_panoramas: (M,) panorama of each.
        seen: (2, M') state and map token of each sighting of an unvisited node.
        seen_panoramas: (M',) panorama of each sighting.
        seen_ranks: (M',) rank of the node among the candidates of that panorama.
        seen_weights: (M',) float32, 1 / number of sightings of the node.
    """

    visited: np.ndarray
    visited_panoramas: np.ndarray
    seen: np.ndarray
    seen_panoramas: np.ndarray
    seen_ranks: np.ndarray
    seen_weights: np.ndarray


class MapState(NamedTuple):
    """Input of the network for R states.

    Attributes:
        rows: (R,) episodes.
        viewpoints: (R,) current nodes in the world.
        views: (R,) views 0..35 that the agents face.
        candidates: (R, C) slots of the candidates of the current viewpoints; -1 for padding.
        forbidden: (R, N) bool, true for map tokens that cannot be chosen.
        fusion: (R, N, C + 1) float32 0/1 matrix, see `fusion_matrix`.
        start_positions: (R, 7) float32 position features of the first viewpoint.
        candidate_positions: (R, C, 7) float32 position features of the candidates.
    """

    rows: np.ndarray
    viewpoints: np.ndarray
    views: np.ndarray
    tokens: MapTokens
    candidates: np.ndarray
    forbidden: np.ndarray
    fusion: np.ndarray
    start_positions: np.ndarray
    candidate_positions: np.ndarray
    sources: NodeSources


def map_state(
    maps: TopologicalMaps,
    panoramas: np.ndarray,
    rows: np.ndarray,
    views: np.ndarray,
    revisits: bool = False,
) -> MapState:
    """Describe the current states of R agents.

    Args:
        panoramas: (B, S) index of the last panorama of each visited slot, S at least the number
            of nodes.
        rows: (R,) episodes.
        views: (R,) views 0..35 that the agents face.
    """
    tokens = maps.tokens(rows, views)
    candidates = maps.candidate_slots(rows)
    here = maps.current[rows]
    forbidden = tokens.slots == here[:, None] if revisits else tokens.visited
    starts = np.full((len(rows), 1), START)
    around = maps.position_features(rows, np.column_stack([starts, candidates]), views)
    return MapState(
        rows,
        maps.nodes[rows, here],
        views,
        tokens,
        candidates,
        forbidden,
        fusion_matrix(tokens.slots, candidates, forbidden),
        around[:, 0],
        around[:, 1:],
        _node_sources(maps, panoramas, rows, tokens),
    )


def fusion_matrix(slots: np.ndarray, candidates: np.ndarray, forbidden: np.ndarray) -> np.ndarray:
    """Return the matrix that adds local scores to the global scores of map nodes.

    [stop] gets the local score of [stop], a candidate that can be chosen its own local score, and
    every other node the sum of the local scores of the candidates that cannot be chosen, because
    going there starts with going back (DUET `vilmodel.py: forward_navigation_per_step`).

    Args:
        slots: (R, N) slots of the map tokens; -1 for [stop] and padding.
        candidates: (R, C) slots of the candidates; -1 for padding.
        forbidden: (R, N) bool, true for map tokens that cannot be chosen.

    Returns:
        (R, N, C + 1) float32 of zeros and ones.
    """
    same = (slots[:, :, None] == candidates[:, None]) & (candidates >= 0)[:, None]  # (R, N, C)
    backward = (same & forbidden[:, :, None]).any(1)  # (R, C)
    forward = same & ~backward[:, None]
    others = ~forward.any(2) & ~forbidden & (slots >= 0)
    fusion = np.zeros((*slots.shape, candidates.shape[1] + 1), np.float32)
    fusion[:, 0, 0] = 1.0
    fusion[:, :, 1:] = forward | (others[:, :, None] & backward[:, None])
    return fusion


def _node_sources(
    maps: TopologicalMaps, panoramas: np.ndarray, rows: np.ndarray, tokens: MapTokens
) -> NodeSources:
    """Return the origins of the features of map tokens; the arguments are those of `map_state`."""
    row, column = np.nonzero(tokens.visited)
    slots = tokens.slots[row, column]
    # Sightings (M', 3): state, visited slot, unvisited column.
    unseen = (tokens.slots >= 0) & ~tokens.visited
    ranks = maps.sightings[rows[:, None, None], tokens.slots[:, :, None], tokens.slots[:, None]]
    state, origin, target = np.nonzero((ranks >= 0) & tokens.visited[:, :, None] & unseen[:, None])
    counts = np.zeros(tokens.slots.shape, np.float32)
    np.add.at(counts, (state, target), 1.0)
    return NodeSources(
        np.stack([row, column]),
        panoramas[rows[row], slots],
        np.stack([state, target]),
        panoramas[rows[state], tokens.slots[state, origin]],
        ranks[state, origin, target].astype(np.int64),
        1.0 / counts[state, target],
    )


def stack_states(states: Sequence[MapState]) -> MapState:
    """Concatenate states, such as those of all steps of known paths, and pad them.

    All panoramas of the states must be in one memory before any of them is scored.
    """
    nodes = max(state.tokens.slots.shape[1] for state in states)
    candidates = max(state.candidates.shape[1] for state in states)
    starts = np.cumsum([0, *(len(state.rows) for state in states)])
    padded = [_padded(state, nodes, candidates) for state in states]
    moved = np.array([1, 0])[:, None]  # only the state, not the map token
    sources = [
        state.sources._replace(
            visited=state.sources.visited + start * moved, seen=state.sources.seen + start * moved
        )
        for state, start in zip(states, starts, strict=False)
    ]
    plain = ("rows", "viewpoints", "views", "candidates", "forbidden", "fusion")
    return MapState(
        tokens=MapTokens(*map(np.concatenate, zip(*(p.tokens for p in padded), strict=True))),
        sources=NodeSources(
            *(np.concatenate(part, axis=-1) for part in zip(*sources, strict=True))
        ),
        **{
            name: np.concatenate([getattr(state, name) for state in padded])
            for name in (*plain, "start_positions", "candidate_positions")
        },
    )


def _padded(state: MapState, nodes: int, candidates: int) -> MapState:
    """Pad a state to a number of map tokens and a number of candidates."""
    tokens = state.tokens
    node_pad = (0, nodes - tokens.slots.shape[1])
    candidate_pad = (0, candidates - state.candidates.shape[1])
    none = (0, 0)
    return state._replace(
        tokens=MapTokens(
            slots=np.pad(tokens.slots, (none, node_pad), constant_values=-1),
            mask=np.pad(tokens.mask, (none, node_pad)),
            visited=np.pad(tokens.visited, (none, node_pad)),
            steps=np.pad(tokens.steps, (none, node_pad)),
            positions=np.pad(tokens.positions, (none, node_pad, none)),
            distances=np.pad(tokens.distances, (none, node_pad, node_pad)),
        ),
        candidates=np.pad(state.candidates, (none, candidate_pad), constant_values=-1),
        forbidden=np.pad(state.forbidden, (none, node_pad)),
        fusion=np.pad(state.fusion, (none, node_pad, candidate_pad)),
        candidate_positions=np.pad(state.candidate_positions, (none, candidate_pad, none)),
    )


def view_directions(
    geometry: MapGeometry, nodes: np.ndarray, views: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return directions and kinds of the panorama tokens of P viewpoints.

    Args:
        nodes: (P,) viewpoints.
        views: (P,) views 0..35 that the agents face; headings and elevations are relative to them.

    Returns:
        directions: (P, V, 7) float32, see `PanoramaInputs`; zeros on padding.
        types: (P, V) int64, 1 for candidates and 0 for other views.
    """
    width = int(geometry.token_counts[nodes].max())
    heading = geometry.token_headings[nodes, :width] - VIEW_HEADINGS[views][:, None]
    elevation = geometry.token_elevations[nodes, :width] - VIEW_ELEVATIONS[views][:, None]
    directions = _directions(heading, elevation)
    tokens = np.arange(width)
    directions[tokens >= geometry.token_counts[nodes][:, None]] = 0.0
    types = (tokens < geometry.candidate_counts[nodes][:, None]).astype(np.int64)
    return directions, types


def object_directions(objects: NodeObjects, rows: np.ndarray, views: np.ndarray) -> np.ndarray:
    """Return the directions (M, 7) float32 of objects, see `PanoramaInputs`.

    Args:
        rows: (M,) objects.
        views: (M,) views 0..35 that the agents face.
    """
    heading, elevation = objects.directions[rows].T
    directions = _directions(heading - VIEW_HEADINGS[views], elevation - VIEW_ELEVATIONS[views])
    directions[:, 4:] = objects.sizes[rows]
    return directions


def _directions(heading: np.ndarray, elevation: np.ndarray) -> np.ndarray:
    """Return sines and cosines of headings and elevations (...), then three ones, as (..., 7)."""
    directions = np.ones((*heading.shape, 7), np.float32)
    parts = np.sin(heading), np.cos(heading), np.sin(elevation), np.cos(elevation)
    for column, part in enumerate(parts):
        directions[..., column] = part
    return directions
