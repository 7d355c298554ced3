"""Re-ranking of found paths with a speaker, and the walk that a search requires.

EnvDrop's re-ranking (`r2r_src/train.py: beam_valid`): alpha times the speaker's log-probability of
the instruction given the path, plus 1 - alpha times the follower's log-probability of the path
given the instruction. The speaker is in evaluation mode; the released code left its dropout on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.acting.evaluation import Pose
from clipnav.agents.envdrop.path_recording import gather_views
from clipnav.agents.envdrop.search import FoundPath, Position, SearchResult
from clipnav.agents.envdrop.speaker import Speaker
from clipnav.agents.layers.encoders import PAD
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.storage.features.view_grid import view_direction

_PATHS = 64  # paths in a batch of the speaker


@dataclass(frozen=True)
class Weighting:
    """Weights of speaker and follower.

    Attributes:
        alpha: Weight of the speaker's log-probability; the follower's has weight 1 - alpha.
        per_word: Divide the speaker's log-probability by the number of words of the instruction.
        per_action: Divide the follower's log-probability by the number of actions of the path.
    """

    alpha: float = 0.5
    per_word: bool = False
    per_action: bool = False


@dataclass(frozen=True)
class RankedPath:
    """A found path with the score of a speaker.

    Attributes:
        path: The path.
        speaker_log_prob: The speaker's log-probability of the instruction given the path.
        words: Number of tokens of the instruction, without the start token.
    """

    path: FoundPath
    speaker_log_prob: float
    words: int

    def score(self, weighting: Weighting) -> float:
        """Return the weighted sum of both log-probabilities."""
        speaker = self.speaker_log_prob / (self.words if weighting.per_word else 1)
        actions = len(self.path.actions) if weighting.per_action else 1
        follower = self.path.log_prob / actions
        return weighting.alpha * speaker + (1 - weighting.alpha) * follower


def rank_paths(
    results: Sequence[SearchResult],
    speaker: Speaker,
    features: DeviceFeatures,
    tokens: np.ndarray,
    languages: Tensor,
) -> list[list[RankedPath]]:
    """Score the found paths of B instructions with a speaker.

    Args:
        tokens: (B, L) instructions in the speaker's vocabulary.
        languages: (B,) language ids of the instructions.
    """
    ranked: list[list[RankedPath]] = [[] for _ in results]
    found = [(row, path) for row, result in enumerate(results) for path in result.paths]
    for start in range(0, len(found), _PATHS):
        rows, paths = zip(*found[start : start + _PATHS], strict=True)
        log_probs = _instruction_log_probs(
            paths, speaker, features, tokens[list(rows)], languages[list(rows)]
        )
        for row, path, log_prob in zip(rows, paths, log_probs, strict=True):
            ranked[row].append(RankedPath(path, log_prob, int((tokens[row] != PAD).sum()) - 1))
    return ranked


def _instruction_log_probs(
    paths: Sequence[FoundPath],
    speaker: Speaker,
    features: DeviceFeatures,
    tokens: np.ndarray,
    languages: Tensor,
) -> list[float]:
    """Return the log-probability of each instruction (P, L) given its path."""
    steps = [
        (row, step, *position, action)
        for row, path in enumerate(paths)
        for step, (position, action) in enumerate(zip(path.positions, path.actions, strict=True))
    ]
    views = gather_views(features, *np.array(steps).T)
    instructions = torch.from_numpy(tokens).to(views.panorama.device)
    log_probs = speaker.log_probs(speaker.encode(views), instructions, languages)
    return log_probs.double().sum(1).tolist()


def best_path(ranked: Sequence[RankedPath], weighting: Weighting) -> FoundPath:
    """Return the path with the highest score; of equal ones, the first (the follower's best)."""
    return max(ranked, key=lambda item: item.score(weighting)).path


def tune_weighting(
    ranked: Sequence[Sequence[RankedPath]], values: Sequence[Mapping[FoundPath, float]]
) -> tuple[Weighting, float]:
    """Return the weighting with the highest mean value of the chosen paths.

    Alpha runs from 0 to 1 in steps of 0.01, with and without both divisions, as in EnvDrop's
    `--paramSearch`. Tune on a split other than the one to report.
    """
    trials = [
        Weighting(hundredths / 100, per_word, per_action)
        for per_word in (False, True)
        for per_action in (False, True)
        for hundredths in range(101)
    ]
    instructions = list(zip(ranked, values, strict=True))
    means = [
        float(np.mean([value[best_path(paths, trial)] for paths, value in instructions]))
        for trial in trials
    ]
    index = int(np.argmax(means))
    return trials[index], means[index]


def search_walk(world: NavWorld, result: SearchResult, chosen: FoundPath) -> list[int]:
    """Return the nodes of the walk that a search requires, which leaderboards count.

    The agent walks to each expanded viewpoint in turn, by the shortest path over the viewpoints
    that it has visited so far, then back to the start and along the chosen path (EnvDrop
    `r2r_src/agent.py: dijk_path`).
    """
    import networkx  # takes a third of a second, and only this walk requires it

    known = networkx.Graph()
    walked = [result.expanded[0]]
    for node in [*result.expanded, result.expanded[0]]:
        if node != walked[-1]:
            visited = known.subgraph({*walked, node})
            walked += networkx.shortest_path(visited, walked[-1], node, weight="metres")[1:]
        neighbours = world.targets[node, np.flatnonzero(world.mask[node])[1:]]
        for other, metres in zip(
            neighbours, world.distance(np.array(node), neighbours), strict=True
        ):
            known.add_edge(node, int(other), metres=float(metres))
    return walked + [position.node for position in chosen.positions[1:]]


def poses(world: NavWorld, start: Position, nodes: Sequence[int]) -> list[Pose]:
    """Return viewpoint, heading and elevation (radians) along a walk, as environments do."""
    positions = [start]
    for node in nodes[1:]:
        current = positions[-1].node
        action = int(np.flatnonzero(world.targets[current, 1:] == node)[0]) + 1
        positions.append(Position(int(node), int(world.views[current, action])))
    return [(str(world.viewpoint_ids[node]), *view_direction(view)) for node, view in positions]
