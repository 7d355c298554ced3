"""Visual input of the follower, its standardisation and its feature dropout.

Letters in shapes: B episodes, N views, K candidates, D visual and A angle width of a view,
F = D + A.
"""

from copy import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from clipnav.agents.layers.attention import dropout_mask
from clipnav.agents.settings import FeatureDropout


class PanoramaView(NamedTuple):
    """Visual input of B agents.

    Attributes:
        panorama: (B, 36, D + A) features of the views.
        candidates: (B, K, D + A) features of the candidates; row 0, stop, is zero.
        mask: (B, K) bool, true where an action is possible.
        angle: (B, A) angle features of the agent's heading and elevation.
        distances: (B, K) distances to the candidates in metres, 0 for stop.
        visits: (B, K) float counts of `clipnav.agents.envdrop.action_scores`; only with visit
            features.
    """

    panorama: Tensor
    candidates: Tensor
    mask: Tensor
    angle: Tensor
    distances: Tensor
    visits: Tensor | None = None


_WIDTH = 128  # of house_clip, with which the learning rates of the houses were chosen


class FeatureScale(nn.Module):
    """Standardisation of features to mean 0 and standard deviation 1; angles are unchanged.

    The mean of CLIP features is larger than their variation, and their scale differs between
    models. Dot-product attention learns several times faster on standardised features. So it is
    with the hidden states of transformers.

    Features wider than house_clip's have a smaller standard deviation, so that vectors are as long
    as its: with 1,280 values of deviation 1, gradients were tens of times as large, and followers
    did not learn at the learning rates of the houses.
    """

    def __init__(self, visual: int, angle: int) -> None:
        super().__init__()
        self._visual = visual
        self.scale: Tensor
        self.shift: Tensor
        self.register_buffer("scale", torch.ones(visual + angle))
        self.register_buffer("shift", torch.zeros(visual + angle))

    def fit(self, mean: Tensor, spread: Tensor) -> None:
        """Set the mean (D,) and standard deviation (D,) of the features in training."""
        spread = spread.clamp_min(1e-6) * max(1.0, self._visual / _WIDTH) ** 0.5
        self.scale[: self._visual] = 1 / spread
        self.shift[: self._visual] = -mean / spread

    def forward(self, view: PanoramaView) -> PanoramaView:
        """Return the view with standardised features; stop stays zero."""
        candidates = self.features(view.candidates)  # (B, K, F)
        candidates[:, 0] = 0.0
        return view._replace(panorama=self.features(view.panorama), candidates=candidates)

    def features(self, views: Tensor) -> Tensor:
        """Return views (..., F) with standardised features."""
        return torch.addcmul(self.shift, views, self.scale)


class ViewEncoder(nn.Module):
    """Interface of networks that encode the visual features of views before the follower."""

    @property
    def architecture(self) -> dict[str, str]:
        """Identity that must match for weights to be loaded."""
        raise NotImplementedError

    def forward(self, view: PanoramaView) -> PanoramaView:
        """Return the view with encoded visual features of the same width."""
        raise NotImplementedError

    def features(self, features: Tensor) -> Tensor:
        """Return encoded visual features (..., D) of the same width."""
        raise NotImplementedError


class VisualNoise:
    """Dropout of visual features in one batch of episodes.

    A mask m that all views share need not be applied to the views f: (f * m) . q = f . (m * q), and
    the weighted sum of f * m is m times the weighted sum of f. It is the `gate` of an attention. A
    mask that all episodes in one building share is the environment dropout of the EnvDrop paper.

    Args:
        scans: (B,) index of the building of each episode.
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
        """Return the same dropout for the episodes at `index` (N,), which may repeat."""
        chosen = copy(self)
        if self._episode is not None:
            chosen._episode = self._episode.index_select(0, index)
        return chosen

    def gate(self, views: Tensor) -> Tensor | None:
        """Return the multiplier (B, F) of views (B, N, F), or None.

        Call it once per step: with one mask per step, every call draws a new one.
        """
        if self._rate and self._kind == "step":
            return self._draw(len(views), views.device)
        return self._episode

    def drop_(self, views: Tensor) -> Tensor:
        """Return views (B, N, F) with single numbers dropped, if `kind` is "element".

        The views are overwritten, unless they require a gradient.
        """
        if not self._rate or self._kind != "element":
            return views
        if views.requires_grad:
            views = views.clone()
        visual = views[..., : self._visual]
        visual *= dropout_mask(visual, self._rate)
        return views

    def _draw(self, count: int, device: torch.device) -> Tensor:
        masks = torch.ones(count, self._width, device=device)
        visual = masks[:, : self._visual]
        visual.copy_(dropout_mask(visual, self._rate))
        return masks
