"""Speed of caption decoding with cached keys and values, and with recomputed prefixes.

A captioner of the published size (ImageCaptioning.pytorch: 6 + 6 layers of 512, 9,488 words) with
random weights describes a batch of grids in 20 words; the end token is banned, so that all captions
have the same length. Both captioners run the same search, and their captions are compared before
timing.
"""

from collections.abc import Sequence

import torch
from measuring import Figure, rate
from torch import Tensor

from clipnav.vl_tasks.captioning.captioner import Captioner, LayerMemory
from clipnav.vl_tasks.captioning.decoding import beam_search, write_greedily
from clipnav.vl_tasks.captioning.settings import CaptionerConfig
from clipnav.vl_tasks.grids.grids import Grids

WORDS, LENGTH, _CHANNELS = 9_488, 20, 2_560
_BEAMS = 5
BAR = 3.0


class RecomputingCaptioner(Captioner):
    """Captioner that decodes the whole prefix at each step, as ImageCaptioning.pytorch (`core`)."""

    def begin(self, places: Tensor) -> list[LayerMemory]:
        """Store the grid and an empty prefix in the fields of keys and values."""
        return [LayerMemory(places, places)]

    def step(
        self, words: Tensor, position: int, memory: Sequence[LayerMemory], mask: Tensor
    ) -> Tensor:
        """Compute the logits of the next word from the whole prefix."""
        state = memory[0]
        prefix = words[:, None]
        if state.keys is not None:
            prefix = torch.cat([state.keys, prefix], dim=1)
        state.keys = state.values = prefix
        x = self._read(prefix, 0)
        for layer in self.decoder:
            x = layer(x, state.place_keys, mask)
        return self.generator(self.decoder_norm(x[:, -1]))


def decoding_figures(images: int, side: int, seconds: float, quick: bool) -> list[Figure]:
    """Measure captions per CPU second, with greedy decoding and with beam search.

    Args:
        seconds: CPU seconds per figure.
    """
    torch.manual_seed(0)
    sizes = CaptionerConfig(32, 64, 2, 4) if quick else CaptionerConfig()
    words = 50 if quick else WORDS
    cached, recomputing = (
        kind(_CHANNELS, words, sizes).eval() for kind in (Captioner, RecomputingCaptioner)
    )
    recomputing.load_state_dict(cached.state_dict())
    count = side**2
    mask = torch.ones(images, count, dtype=torch.bool)
    grids = Grids(torch.randn(images, count, _CHANNELS), mask, (side, side))
    figures = []
    for name, beams in (("greedy", 1), (f"{_BEAMS} beams", _BEAMS)):
        with torch.inference_mode():
            if not torch.equal(_decode(cached, grids, beams), _decode(recomputing, grids, beams)):
                raise AssertionError("the captions differ")
            rates = [
                rate(lambda c=captioner, k=beams: _decode(c, grids, k), images, seconds)
                for captioner in (recomputing, cached)
            ]
        title = f"{name}, {count} cells"
        figures += [
            Figure(f"{title}: recomputed prefixes", rates[0], "captions per CPU second"),
            Figure(f"{title}: cached keys and values", rates[1], "captions per CPU second"),
            Figure(f"{title}: cached relative to recomputed", rates[1] / rates[0], "times", BAR),
        ]
    return figures


def _decode(captioner: Captioner, grids: Grids, beams: int) -> Tensor:
    if beams == 1:
        return write_greedily(captioner, grids, LENGTH, banned=(0,))
    return beam_search(captioner, grids, beams, LENGTH, banned=(0,))
