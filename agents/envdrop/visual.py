"""What the follower sees, and what is done to visual features before it reads them.

Letters in the shape comments: B episodes, N views, K candidates, D visual and A angle width of a
view, F = D + A.
"""

from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from agents.configs import FeatureDropout
from agents.envdrop.attention import drop


class View(NamedTuple):
    """What an agent sees.

    Attributes:
        panorama: (B, 36, D + A) features of the views.
        candidates: (B, K, D + A) features of the neighbours; row 0, stop, is zero.
        mask: (B, K) true where an action is possible.
        angle: (B, A) angle feature of the agent's own heading and elevation.
        distances: (B, K) metres to the candidates, 0 for stop.
        visits: (B, K) float, see `agents.acting.visits`; only for followers that mark visits.
    """

    panorama: Tensor
    candidates: Tensor
    mask: Tensor
    angle: Tensor
    distances: Tensor
    visits: Tensor | None = None


class VisualScale(nn.Module):
    """Brings visual features to mean 0 and spread 1, and leaves angles alone.

    What CLIP says about all pictures alike outweighs what tells them apart, and its scale differs
    between models; attention by dot products learns several times faster without either.
    """

    def __init__(self, visual: int, angle: int) -> None:
        super().__init__()
        self._visual = visual
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", torch.ones(visual + angle))
        self.register_buffer("shift", torch.zeros(visual + angle))

    def fit(self, mean: Tensor, spread: Tensor) -> None:
        """Take the mean (D,) and standard deviation (D,) of the training scans' features."""
        spread = spread.clamp_min(1e-6)
        self.scale[: self._visual] = 1 / spread
        self.shift[: self._visual] = -mean / spread

    def forward(self, view: View) -> View:
        """The view with features of like scale; stop stays zero."""
        candidates = self.features(view.candidates)  # (B, K, F)
        candidates[:, 0] = 0.0
        return view._replace(panorama=self.features(view.panorama), candidates=candidates)

    def features(self, views: Tensor) -> Tensor:
        """Views (..., F) with features of like scale."""
        return torch.addcmul(self.shift, views, self.scale)


class VisualNoise:
    """Dropout of visual features in one batch of episodes.

    A mask shared by all views costs nothing on the views themselves: (f * m) . q = f . (m * q), and
    the weighted sum of f * m is m times the weighted sum of f: it is the `gate` of an attention.
    Shared by all episodes in one building it is the environment dropout of EnvDrop's paper.

    Args:
        rate: Share of features to drop.
        kind: What shares a mask, see `FollowerConfig`.
        visual: D, width of the visual part of a view.
        width: F, width of a view.
        scans: (B,) number of the building of each episode.
    """

    def __init__(
        self, rate: float, kind: FeatureDropout, visual: int, width: int, scans: Tensor
    ) -> None:
        self._rate = rate if visual else 0.0
        self._kind = kind
        self._visual, self._width = visual, width
        self._episode: Tensor | None = None
        if self._rate and kind in ("environment", "batch", "episode"):
            masks = self._draw(1 if kind == "batch" else len(scans), scans.device)
            if kind == "batch":
                scans = torch.zeros_like(scans)
            self._episode = masks if kind == "episode" else masks[scans]

    def rows(self, index: Tensor) -> "VisualNoise":
        """The same dropout for the episodes at `index` (N,), which may repeat."""
        chosen = copy(self)
        if self._episode is not None:
            chosen._episode = self._episode.index_select(0, index)
        return chosen

    def gate(self, views: Tensor) -> Tensor | None:
        """Multiplier (B, F) of views (B, N, F); None if there is nothing to multiply."""
        if self._rate and self._kind == "step":
            return self._draw(len(views), views.device)
        return self._episode

    def drop(self, views: Tensor) -> Tensor:
        """Views (B, N, F) with single numbers dropped, if the configuration says so."""
        if not self._rate or self._kind != "element":
            return views
        visual, angle = views.split([self._visual, self._width - self._visual], 2)
        return torch.cat([drop(visual, self._rate), angle], 2)

    def _draw(self, count: int, device: torch.device) -> Tensor:
        ones = torch.ones(count, self._visual, device=device)
        angle = torch.ones(count, self._width - self._visual, device=device)
        return torch.cat([drop(ones, self._rate), angle], 1)
