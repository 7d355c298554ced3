"""Inputs of the network, gathered from the features of a world."""

import numpy as np
import torch
from torch import Tensor

from clipnav.agents.hamt.model import CANDIDATE_VIEW, OTHER_VIEW, STOP_VIEW, StepInputs, ViewInputs
from clipnav.envs.navigation.device_features import DeviceFeatures
from clipnav.envs.navigation.vector_env import VlnVectorEnv
from clipnav.storage.features.view_grid import NUM_VIEWS


class HistoryFeatures:
    """Features of the viewpoints of an environment, as HAMT reads them.

    Headings are relative to the agent's, elevations absolute (HAMT `r2r/env.py: make_candidate`).
    """

    def __init__(self, env: VlnVectorEnv, device: torch.device | str = "cpu") -> None:
        self.world = world = env.nav_world
        self._features = DeviceFeatures(env, device)
        self._visual = self._features.width - env.angle_feature_size
        self._device = torch.device(device)
        self._actions = world.valid.sum(1)  # (V,)
        shows_candidate = np.zeros((len(world), NUM_VIEWS), bool)
        node, action = np.nonzero(world.valid[:, 1:])
        shows_candidate[node, world.views[node, action + 1]] = True
        self._others = (~shows_candidate).sum(1)  # (V,)
        order = np.argsort(shows_candidate, axis=1, kind="stable")
        self._other_views = torch.from_numpy(order).to(device)  # (V, 36), those without first

    def views(
        self, nodes: np.ndarray, views: np.ndarray, dropout: Tensor | None = None
    ) -> ViewInputs:
        """Return what R agents see.

        Args:
            nodes: (R,) viewpoints.
            views: (R,) views 0..35 that they face.
            dropout: (R, D) multipliers of the visual features; None without.
        """
        actions, others = int(self._actions[nodes].max()), int(self._others[nodes].max())
        gathered = self._features.gather(nodes, views, actions)
        index = self._other_views[torch.from_numpy(nodes).to(self._device)][:, :others]
        index = index[..., None].expand(-1, -1, self._features.width)
        seen = torch.cat([gathered.candidates, gathered.panorama.gather(1, index)], 1)
        types = torch.full(seen.shape[:2], OTHER_VIEW, device=self._device)
        types[:, 0] = STOP_VIEW
        types[:, 1:actions].masked_fill_(gathered.mask[:, 1:], CANDIDATE_VIEW)
        real = np.arange(others) < self._others[nodes][:, None]
        mask = torch.cat([gathered.mask, torch.from_numpy(real).to(self._device)], 1)
        return ViewInputs(*self._parts(seen), types, mask, actions, dropout)

    def steps(
        self,
        nodes: np.ndarray,
        views: np.ndarray,
        actions: np.ndarray,
        numbers: np.ndarray,
        dropout: Tensor | None = None,
    ) -> StepInputs:
        """Return P steps of the past.

        Args:
            nodes: (P,) viewpoints.
            views: (P,) views 0..35 that the agents faced.
            actions: (P,) actions that they took.
            numbers: (P,) numbers of the steps, from 0.
            dropout: (P, D) multipliers of the visual features; None without.
        """
        gathered = self._features.gather(nodes, views)
        every = torch.arange(len(nodes), device=self._device)
        facing, taken = (torch.from_numpy(x).to(self._device) for x in (views, actions))
        panorama, angles = self._parts(gathered.panorama)
        return StepInputs(
            view=panorama[every, facing],
            action=self._parts(gathered.candidates[every, taken])[1],
            panorama=panorama,
            angles=angles,
            numbers=torch.from_numpy(numbers).to(self._device),
            dropout=dropout,
        )

    def _parts(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the visual and the angle features."""
        return features[..., : self._visual], features[..., self._visual :]


def rows_of(dropout: Tensor | None, index: np.ndarray) -> Tensor | None:
    """Return the multipliers of the episodes at an index; see `FeatureInput.episode_dropout`."""
    return None if dropout is None else dropout[torch.from_numpy(index).to(dropout.device)]
