"""What the follower sees, and what is done to visual features before it reads them.

Letters in the shape comments: B episodes, N views, K candidates, D visual and A angle width of a
view, F = D + A.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from agents.configs import FollowerConfig


class View(NamedTuple):
    """What an agent sees.

    Attributes:
        panorama: (B, 36, D + A) features of the views.
        candidates: (B, K, D + A) features of the neighbours; row 0, stop, is zero.
        mask: (B, K) true where an action is possible.
        angle: (B, A) angle feature of the agent's own heading and elevation.
    """

    panorama: Tensor
    candidates: Tensor
    mask: Tensor
    angle: Tensor


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
        panorama = torch.addcmul(self.shift, view.panorama, self.scale)  # (B, 36, F)
        candidates = torch.addcmul(self.shift, view.candidates, self.scale)  # (B, K, F)
        candidates[:, 0] = 0.0
        return view._replace(panorama=panorama, candidates=candidates)


class VisualNoise:
    """Dropout of visual features in one batch of episodes.

    A mask shared by all views costs nothing on the views themselves: (f * m) . q = f . (m * q), and
    the weighted sum of f * m is m times the weighted sum of f: it is the `gate` of an attention.
    Shared over an episode it is EnvDrop's environment dropout, one environment per episode.
    """

    def __init__(self, config: FollowerConfig, visual: int, ones: Tensor) -> None:
        self._rate = config.feature_dropout if visual else 0.0
        self._kind = config.feature_dropout_kind
        self._widths = [visual, ones.shape[1] - visual]
        draw_now = self._rate and self._kind == "episode"
        self._episode = self._draw(ones) if draw_now else None

    def keep(self, index: Tensor) -> None:
        """Go on with the episodes at `index` (N,)."""
        if self._episode is not None:
            self._episode = self._episode.index_select(0, index)

    def gate(self, views: Tensor) -> Tensor | None:
        """Multiplier (B, F) of views (B, N, F); None if there is nothing to multiply."""
        if self._rate and self._kind == "step":
            return self._draw(torch.ones_like(views[:, 0]))
        return self._episode

    def drop(self, views: Tensor) -> Tensor:
        """Views (B, N, F) with single numbers dropped, if the configuration says so."""
        if not self._rate or self._kind != "element":
            return views
        visual, angle = views.split(self._widths, 2)
        return torch.cat([functional.dropout(visual, self._rate), angle], 2)

    def _draw(self, ones: Tensor) -> Tensor:
        visual, angle = ones.split(self._widths, 1)
        return torch.cat([functional.dropout(visual, self._rate), angle], 1)
