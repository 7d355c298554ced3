"""Object grounding of followers and frontier agents: which object of a viewpoint a text means."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from clipnav.agents.learning.object_targets import ObjectTargets
from clipnav.envs.navigation.objects import DeviceObjects, DeviceObjectView
from clipnav.envs.navigation.vector_env import VlnVectorEnv

_PLACE = 7  # sine and cosine of heading and elevation, width, height and area of the box


class ObjectHead(nn.Module):
    """Scores of objects: dot products with what the follower has read of the instruction."""

    def __init__(self, hidden: int, width: int) -> None:
        super().__init__()
        self.width = width
        self.norm = nn.LayerNorm(width)
        self.embed = nn.Sequential(
            nn.Linear(width + _PLACE, hidden), nn.ReLU(), nn.Linear(hidden, hidden)
        )
        self.query = nn.Linear(hidden, hidden, bias=False)

    def forward(self, attended: Tensor, objects: DeviceObjectView) -> Tensor:
        """Return the logits (N, O) of the objects; minus infinity for padding.

        Args:
            attended: (N, H) words that the follower has attended to, `State.attended`.
        """
        heading, elevation = objects.directions.unbind(2)
        angles = [heading.sin(), heading.cos(), elevation.sin(), elevation.cos()]
        place = torch.cat([torch.stack(angles, 2), objects.sizes], 2)
        keys = self.embed(torch.cat([self.norm(objects.features), place], 2))  # (N, O, H)
        scores = torch.bmm(keys, self.query(attended)[:, :, None])[..., 0]
        return scores.float().masked_fill(~objects.mask, -torch.inf)

    def best(
        self, attended: Tensor, objects: DeviceObjects, nodes: np.ndarray, views: np.ndarray
    ) -> np.ndarray:
        """Return the (N,) index of the best object at nodes (N,); -1 where there is none."""
        best, index = self(attended, objects.gather(nodes, views)).detach().max(1)
        return np.where(torch.isfinite(best).cpu().numpy(), index.cpu().numpy(), -1)


class ReadPlaces(NamedTuple):
    """Where N agents were when they had read a part of their instructions.

    Attributes:
        rows: (N,) rows of the batch.
        nodes: (N,) viewpoints.
        views: (N,) views 0..35 that they faced.
        attended: (N, H) words that they had attended to.
    """

    rows: np.ndarray
    nodes: np.ndarray
    views: np.ndarray
    attended: Tensor


class ObjectLoss:
    """Cross-entropy of the target objects at the viewpoints of the goals of an environment."""

    def __init__(self, env: VlnVectorEnv, objects: DeviceObjects) -> None:
        world = objects.objects
        self._env, self._objects = env, objects
        self._indices = {episode.instr_id: k for k, episode in enumerate(env.episodes)}
        self._targets = ObjectTargets(
            env.nav_world, env.episodes, lambda node: world.ids[node][world.mask[node]].tolist()
        )

    def __call__(
        self, head: ObjectHead, env: VlnVectorEnv, instr_ids: list[str], places: list[ReadPlaces]
    ) -> tuple[Tensor, dict[str, float]]:
        """Return the loss per episode, and the figures to log.

        Sampled paths of another environment have no target.
        """
        rows, nodes, views = (np.concatenate(part) for part in list(zip(*places, strict=True))[:3])
        attended = torch.cat([place.attended for place in places])
        episodes = np.array([self._indices.get(name, -1) for name in instr_ids])[rows]
        ranks = self._targets.ranks(episodes, nodes)
        if env is not self._env:
            ranks[:] = -1
        chosen = np.flatnonzero(ranks >= 0)
        seen = self._objects.gather(nodes[chosen], views[chosen])
        scores = head(attended[torch.from_numpy(chosen).to(attended.device)], seen)
        targets = torch.from_numpy(ranks[chosen]).to(scores.device)
        loss = functional.cross_entropy(scores, targets, reduction="sum") / len(instr_ids)
        correct = float((scores.detach().argmax(1) == targets).sum())
        return loss, {"objects": loss.item(), "correct_objects": correct / max(1, len(chosen))}
