"""Training views with labels for a fraction of them."""

import numpy as np
import torch

from clipnav.encoders.pretraining.view_sampler import ViewSampler, tint
from clipnav.envs.houses.views.view_facts import ViewFacts
from clipnav.training.streams import Stream

_ORDER, _AUGMENTATION = 1, 2


class LabelledViews:
    """Batches of the views that have labels: the first batches of a sampler, in several passes.

    The first pass is the sampler's own order, without changes. The following passes have a random
    order of the batches, and mirror and tint each view at random. Labels, and the facts that they
    are read from, do not depend on the two; sides of objects do, so do not read them.
    """

    def __init__(self, sampler: ViewSampler, batches: int, seed: int = 0) -> None:
        self._sampler, self._batches, self._seed = sampler, batches, seed

    def views(self, index: int) -> tuple[torch.Tensor, list[ViewFacts], np.random.Generator]:
        """Return the views of an iteration, their facts and a generator, as `ViewSampler.views`."""
        number, position = divmod(index, self._batches)
        if not number:
            return self._sampler.views(index)
        order = Stream.VIEWS.rng(self._seed, number, _ORDER)
        images, facts, _ = self._sampler.views(int(order.permutation(self._batches)[position]))
        rng = Stream.VIEWS.rng(self._seed, index, _AUGMENTATION)
        mirrored = torch.from_numpy(rng.random(len(images)) < 0.5)
        images[mirrored] = images[mirrored].flip(-1)
        tint(images, np.zeros(len(images), bool), rng)
        return images, facts, rng
