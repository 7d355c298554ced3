"""DrawnPaths: reference paths to the viewpoints of a goal, of which training draws one."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from clipnav.envs.episodes import Episode
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.navigation.references import ReferencePaths
from clipnav.storage.errors import UserError

_PLAYER = 0.5  # probability of the path of a person (HAMT for CVDN)


class DrawnPaths:
    """The shortest paths of E episodes to each viewpoint of their goals.

    Each of them is drawn with the same probability (DUET for REVERIE and SOON: --multi_endpoints).
    With players, the path of the person who looked for the goal is drawn in half of the cases
    (HAMT for CVDN: --use_player_path).
    """

    def __init__(
        self,
        world: NavWorld,
        episodes: Sequence[Episode],
        references: ReferencePaths,
        players: bool = False,
    ) -> None:
        """Compute the A paths of each episode.

        Raises:
            UserError: A viewpoint of a goal cannot be reached.
        """
        self._references = references
        ends = references.goals.astype(np.int64)  # (E, A), padded with repetitions
        starts = np.repeat(references.starts[:, None], ends.shape[1], 1).astype(np.int64)
        for row, column in np.argwhere(~np.isfinite(world.distance(starts, ends)))[:1]:
            raise UserError(
                f"episode {episodes[row].instr_id!r}: viewpoint "
                f"{world.viewpoint_ids[ends[row, column]]!r} of its goal cannot be reached"
            )
        shares = np.ones(ends.shape)
        shares[:, 1:] = ends[:, 1:] != ends[:, :-1]
        shares /= shares.sum(1, keepdims=True)
        columns = [starts]
        while (at := columns[-1] != ends).any():
            action = world.teacher_action(columns[-1], ends)
            columns.append(np.where(at, world.targets[columns[-1], action], ends))
        nodes = np.stack(columns, 2)  # (E, A, R)
        if players:
            nodes, shares = _with_players(world, episodes, nodes, shares)
        self._nodes = nodes.astype(np.int32)
        steps, moves = np.arange(1, nodes.shape[2]), nodes[..., 1:] != nodes[..., :-1]
        self._sizes = 1 + np.where(moves, steps, 0).max(2, initial=0)  # up to the last move
        self._lengths = world.distance(nodes[..., :-1], nodes[..., 1:]).sum(2)
        self._bounds = np.cumsum(shares, 1)[:, :-1]

    def draw(self, rng: np.random.Generator) -> ReferencePaths:
        """Return one path of each episode, whose end is the goal."""
        episodes = np.arange(len(self._nodes))
        drawn = (rng.random(len(episodes))[:, None] >= self._bounds).sum(1)
        nodes = self._nodes[episodes, drawn]
        return replace(
            self._references,
            nodes=nodes,
            sizes=self._sizes[episodes, drawn],
            lengths=self._lengths[episodes, drawn],
            goals=nodes[:, -1:],
        )


def _with_players(
    world: NavWorld, episodes: Sequence[Episode], nodes: np.ndarray, shares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Add the paths of persons to paths (E, A, R) and their probabilities (E, A)."""
    paths = []
    for episode in episodes:
        path = episode.goal.player_path
        path = path if path[:1] == episode.path[:1] else (*episode.path[:1], *path)
        paths.append([world.node(episode.scan, viewpoint) for viewpoint in path])
    longest = max(nodes.shape[2], *map(len, paths))
    own = np.array([path + path[-1:] * (longest - len(path)) for path in paths])
    more = longest - nodes.shape[2]
    nodes = np.concatenate([own[:, None], np.pad(nodes, ((0, 0), (0, 0), (0, more)), "edge")], 1)
    known = np.array([bool(episode.goal.player_path) for episode in episodes])
    share = np.where(known, _PLAYER, 0.0)[:, None]
    return nodes, np.concatenate([share, (1 - share) * shares], 1)
