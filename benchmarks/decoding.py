"""How fast captions are written with kept keys and values, and with prefixes read again.

A captioner of the published size (ImageCaptioning.pytorch: 6 + 6 layers of 512, 9,488 words) with
random weights describes a batch of grids in 20 words; the end of a caption is never written, so
that all are equally long. Who reads prefixes again runs the same search; the words of both are
compared before anything is timed.
"""

from collections.abc import Sequence

import torch
from measuring import Figure, rate
from torch import Tensor

from vl_tasks.captioning.captioner import Captioner, LayerMemory
from vl_tasks.captioning.decoding import beam_search, write_greedily
from vl_tasks.grids.grids import Grids
from vl_tasks.settings.configs import CaptionerConfig

WORDS, LENGTH, CHANNELS = 9_488, 20, 2_560
BEAMS = 5
BAR = 3.0


class Rereading(Captioner):
    """Decodes the whole prefix at each step, as ImageCaptioning.pytorch does (`core`)."""

    def begin(self, places: Tensor) -> list[LayerMemory]:
        """Places, and no words so far, in the places of keys and values."""
        return [LayerMemory(places, places)]

    def step(
        self, words: Tensor, position: int, memory: Sequence[LayerMemory], mask: Tensor
    ) -> Tensor:
        """Scores of the next word, from all those before it."""
        kept = memory[0]
        prefix = words[:, None]
        if kept.keys is not None:
            prefix = torch.cat([kept.keys, prefix], dim=1)
        kept.keys = kept.values = prefix
        x = self._read(prefix, 0)
        for layer in self.decoder:
            x = layer(x, kept.place_keys, mask)
        return self.generator(self.decoder_norm(x[:, -1]))


def decoding_figures(pictures: int, places: int, seconds: float, quick: bool) -> list[Figure]:
    """Captions a CPU second, greedily and by beam search.

    Args:
        pictures: In a batch.
        places: Side of a grid.
        seconds: CPU seconds per figure.
        quick: Take a small captioner.
    """
    torch.manual_seed(0)
    sizes = CaptionerConfig(32, 64, 2, 4) if quick else CaptionerConfig()
    words = 50 if quick else WORDS
    ours, peer = (kind(CHANNELS, words, sizes).eval() for kind in (Captioner, Rereading))
    peer.load_state_dict(ours.state_dict())
    count = places**2
    mask = torch.ones(pictures, count, dtype=torch.bool)
    grids = Grids(torch.randn(pictures, count, CHANNELS), mask, (places, places))
    figures = []
    for name, beams in (("greedy", 1), (f"{BEAMS} beams", BEAMS)):
        with torch.inference_mode():
            if not torch.equal(_write(ours, grids, beams), _write(peer, grids, beams)):
                raise AssertionError("the captions differ")
            rates = [
                rate(lambda one=one, k=beams: _write(one, grids, k), pictures, seconds)
                for one in (peer, ours)
            ]
        title = f"{name}, {count} places"
        figures += [
            Figure(f"{title}: prefixes read again", rates[0], "captions per CPU second"),
            Figure(f"{title}: kept keys and values", rates[1], "captions per CPU second"),
            Figure(f"{title}: kept to read again", rates[1] / rates[0], "times", BAR),
        ]
    return figures


def _write(captioner: Captioner, grids: Grids, beams: int) -> Tensor:
    if beams == 1:
        return write_greedily(captioner, grids, LENGTH, banned=(0,))
    return beam_search(captioner, grids, beams, LENGTH, banned=(0,))
