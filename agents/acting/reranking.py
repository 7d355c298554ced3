"""Choosing among found paths with a speaker, and the walk that a search costs.

EnvDrop's re-ranking (`r2r_src/train.py: beam_valid`): alpha times what the speaker says of the
instruction given the path, plus 1 - alpha times what the follower says of the path given the
instruction. The speaker is asked in evaluation mode; the released code left its dropout on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import networkx
import numpy as np
import torch
from torch import Tensor

from agents.acting.evaluation import Pose
from agents.acting.search import FoundPath, Place, SearchResult
from agents.acting.speaking import look_along
from agents.envdrop.encoders import PAD
from agents.envdrop.speaker import Speaker
from envs.graphs.nav_world import NavWorld
from envs.navigation.device_features import DeviceFeatures
from storage.features.view_grid import view_direction

_PATHS = 64  # judged at once


@dataclass(frozen=True)
class Weighting:
    """How speaker and follower are weighed.

    Attributes:
        alpha: weight of the speaker; 0 leaves the choice to the follower.
        per_word: divide the speaker's log-log_prob by the words of the instruction.
        per_action: divide the follower's by the actions of the path.
    """

    alpha: float = 0.5
    per_word: bool = False
    per_action: bool = False


@dataclass(frozen=True)
class RankedPath:
    """A found path and what the speaker says of it: log-log_prob of so many words."""

    path: FoundPath
    speaker_log_prob: float
    words: int

    def score(self, weighting: Weighting) -> float:
        """What the path is chosen by."""
        speaker = self.speaker_log_prob / (self.words if weighting.per_word else 1)
        actions = len(self.path.actions) if weighting.per_action else 1
        follower = self.path.log_prob / actions
        return weighting.alpha * speaker + (1 - weighting.alpha) * follower


def judge(
    findings: Sequence[SearchResult],
    speaker: Speaker,
    features: DeviceFeatures,
    tokens: np.ndarray,
    languages: Tensor,
) -> list[list[RankedPath]]:
    """Ask a speaker about the found paths of B instructions.

    Args:
        findings: B of them.
        speaker: In evaluation mode.
        features: Of the world.
        tokens: (B, L) instructions in the speaker's words.
        languages: (B,) numbers of theirs.
    """
    judged: list[list[RankedPath]] = [[] for _ in findings]
    found = [(row, path) for row, finding in enumerate(findings) for path in finding.paths]
    for start in range(0, len(found), _PATHS):
        rows, paths = zip(*found[start : start + _PATHS], strict=True)
        spoken = _spoken(paths, speaker, features, tokens[list(rows)], languages[list(rows)])
        for row, path, total in zip(rows, paths, spoken, strict=True):
            judged[row].append(RankedPath(path, total, int((tokens[row] != PAD).sum()) - 1))
    return judged


def _spoken(
    paths: Sequence[FoundPath],
    speaker: Speaker,
    features: DeviceFeatures,
    tokens: np.ndarray,
    languages: Tensor,
) -> list[float]:
    """Log-log_prob of an instruction of (P, L) for each of P paths."""
    steps = [
        (number, step, *place, action)
        for number, path in enumerate(paths)
        for step, (place, action) in enumerate(zip(path.places, path.actions, strict=True))
    ]
    seen = look_along(features, *np.array(steps).T)
    device = seen.panorama.device
    given = torch.from_numpy(tokens).to(device)
    log_probs = speaker.log_probs(speaker.encode(seen), given, languages)
    return log_probs.double().sum(1).tolist()


def best(judged: Sequence[RankedPath], weighting: Weighting) -> FoundPath:
    """The path with the highest score; of equal ones the follower's favourite."""
    return max(judged, key=lambda item: item.score(weighting)).path


def tune(
    judged: Sequence[Sequence[RankedPath]], value: Sequence[Mapping[FoundPath, float]]
) -> tuple[Weighting, float]:
    """The weighting with the highest mean value of the chosen paths.

    All alphas from 0 to 1 by hundredths are tried, with and without averaging, as `--paramSearch`
    does; tune on one split what is reported on another.

    Args:
        judged: Paths of each instruction.
        value: Of each of these paths, such as its success.

    Returns:
        The weighting (of equally good ones the first) and the mean value.
    """
    trials = [
        Weighting(hundredths / 100, per_word, per_action)
        for per_word in (False, True)
        for per_action in (False, True)
        for hundredths in range(101)
    ]
    means = [
        float(np.mean([own[best(paths, trial)] for paths, own in zip(judged, value, strict=True)]))
        for trial in trials
    ]
    index = int(np.argmax(means))
    return trials[index], means[index]


def whole_walk(world: NavWorld, found: SearchResult, chosen: FoundPath) -> list[int]:
    """Nodes that an agent in the building walks for a search: what leaderboards count.

    It goes to each place where the search looked around, the shortest way that it knows by then,
    back to the start, and along the chosen path.

    Args:
        world: Where the search was.
        found: What it looked at.
        chosen: Where to go in the end.
    """
    known = networkx.Graph()
    walked = [found.looked_at[0]]
    for node in [*found.looked_at, found.looked_at[0]]:
        if node != walked[-1]:
            walked += networkx.shortest_path(known, walked[-1], node, weight="metres")[1:]
        neighbours = world.targets[node, np.flatnonzero(world.mask[node])[1:]]
        for other, metres in zip(
            neighbours, world.distance(np.array(node), neighbours), strict=True
        ):
            known.add_edge(node, int(other), metres=float(metres))
    return walked + [place.node for place in chosen.places[1:]]


def poses(world: NavWorld, start: Place, nodes: Sequence[int]) -> list[Pose]:
    """Viewpoint, heading and elevation (radians) along a walk, as an environment tells them."""
    places = [start]
    for node in nodes[1:]:
        here = places[-1].node
        action = int(np.flatnonzero(world.targets[here, 1:] == node)[0]) + 1
        places.append(Place(int(node), int(world.views[here, action])))
    return [(str(world.viewpoint_ids[node]), *view_direction(view)) for node, view in places]
