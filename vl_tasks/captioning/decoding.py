"""Decoding of captions: greedy, sampling, and batched beam search.

Each step decodes one word per caption with a key-value cache. Banned token ids (the unknown word)
have a logit of minus infinity.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from clipnav.vl_tasks.captioning.captioner import Captioner, LayerMemory
from clipnav.vl_tasks.grids.grids import Grids


def write_greedily(
    captioner: Captioner, grids: Grids, max_length: int, banned: Sequence[int] = ()
) -> Tensor:
    """Decode captions greedily.

    Returns:
        (B, T) captions, T <= `max_length`, padded with 0 after the end.
    """
    return _write(captioner, grids, 1, max_length, banned, lambda scores: scores.argmax(-1))


def sample(
    captioner: Captioner, grids: Grids, times: int, max_length: int, banned: Sequence[int] = ()
) -> Tensor:
    """Sample captions from the captioner's distribution."""

    def draw(scores: Tensor) -> Tensor:
        return torch.multinomial(scores.softmax(-1), 1)[:, 0]

    return _write(captioner, grids, times, max_length, banned, draw)


def beam_search(
    captioner: Captioner, grids: Grids, beams: int, max_length: int, banned: Sequence[int] = ()
) -> Tensor:
    """Decode captions with beam search, without length normalisation.

    As in ImageCaptioning.pytorch (`CaptionModel.beam_search`): a finished caption leaves the beam
    and is stored, even if unfinished captions have a higher log-probability at that step. A caption
    of `max_length` words counts as finished; the finished caption with the highest log-probability
    is returned. Banned words are removed without renormalising the others.

    Returns:
        (B, T) captions, padded with 0 after the end.
    """
    cells = captioner.encode(grids)
    count, device = len(cells), cells.device
    memory = captioner.begin(cells)
    _reorder(memory, torch.arange(count, device=device).repeat_interleave(beams))
    mask = grids.mask.repeat_interleave(beams, 0)  # (B K, N)
    words = torch.zeros(count * beams, dtype=torch.long, device=device)
    # Only the first beam is active at first, because all beams contain the same empty caption.
    totals = torch.full((count, beams), -torch.inf, device=device)
    totals[:, 0] = 0.0
    captions = torch.zeros(count, beams, 0, dtype=torch.long, device=device)
    finished = _Finished(count, max_length, device)
    for position in range(max_length):
        scores = captioner.step(words, position, memory, mask).log_softmax(-1)
        scores = _without(scores, banned).unflatten(0, (count, beams))
        totals, chosen = (totals[..., None] + scores).flatten(1).topk(beams)  # (B, K)
        origin, word = chosen // scores.shape[-1], chosen % scores.shape[-1]
        captions = captions.gather(1, origin[..., None].expand(-1, -1, position))
        captions = torch.cat([captions, word[..., None]], dim=2)
        ended = (word == 0) | (position == max_length - 1)
        finished.keep_better(captions, totals.masked_fill(~ended, -torch.inf))
        totals = totals.masked_fill(ended, -torch.inf)
        # Log-probabilities only decrease, so no unfinished caption can overtake a finished one.
        if bool((finished.totals >= totals.max(1).values).all()):
            break
        rows = origin + beams * torch.arange(count, device=device)[:, None]
        _reorder(memory, rows.flatten())
        words = word.flatten()
    return finished.captions[:, : captions.shape[2]]


class _Finished:
    """Finished caption with the highest log-probability of each of B images.

    Attributes:
        totals: (B,) log-probabilities; minus infinity before the first finished caption.
        captions: (B, max_length) captions, padded with 0.
    """

    def __init__(self, count: int, max_length: int, device: torch.device) -> None:
        self.totals = torch.full((count,), -torch.inf, device=device)
        self.captions = torch.zeros(count, max_length, dtype=torch.long, device=device)

    def keep_better(self, captions: Tensor, totals: Tensor) -> None:
        """Store the best of K captions (B, K, T) where its total (B, K) exceeds the stored one."""
        total, beam = totals.max(1)
        better = total > self.totals
        rows = torch.arange(len(beam), device=beam.device)
        self.totals = torch.where(better, total, self.totals)
        padded = torch.zeros_like(self.captions)
        padded[:, : captions.shape[2]] = captions[rows, beam]
        self.captions = torch.where(better[:, None], padded, self.captions)


def caption_log_probabilities(
    captioner: Captioner, grids: Grids, captions: Tensor, banned: Sequence[int] = ()
) -> tuple[Tensor, Tensor]:
    """Compute the log-probabilities of captions."""
    times = len(captions) // len(grids.mask)
    cells = captioner.encode(grids).repeat_interleave(times, 0)
    mask = grids.mask.repeat_interleave(times, 0)
    before = torch.cat([torch.zeros_like(captions[:, :1]), captions[:, :-1]], dim=1)
    scores = _without(captioner(cells, mask, before), banned).log_softmax(-1)
    log_probs = scores.gather(2, captions[..., None])[..., 0]
    counts = torch.cat([torch.ones_like(before[:, :1]), before[:, 1:]], dim=1) != 0
    return log_probs, counts


def _write(
    captioner: Captioner,
    grids: Grids,
    times: int,
    max_length: int,
    banned: Sequence[int],
    choose: Callable[[Tensor], Tensor],
) -> Tensor:
    """Decode captions word by word; `choose` selects words (B,) from logits (B, vocabulary)."""
    cells = captioner.encode(grids)
    memory = captioner.begin(cells)
    mask = grids.mask
    if times > 1:
        rows = torch.arange(len(cells), device=cells.device).repeat_interleave(times)
        _reorder(memory, rows)
        mask = mask[rows]
    words = torch.zeros(len(mask), dtype=torch.long, device=cells.device)
    ended = torch.zeros(len(mask), dtype=torch.bool, device=cells.device)
    written = []
    for position in range(max_length):
        scores = _without(captioner.step(words, position, memory, mask), banned)
        words = choose(scores).masked_fill(ended, 0)
        written.append(words)
        ended = ended | (words == 0)
        if bool(ended.all()):
            break
    return torch.stack(written, dim=1)


def _without(scores: Tensor, banned: Sequence[int]) -> Tensor:
    """Set the logits (..., vocabulary) of banned token ids to minus infinity."""
    if banned:
        ban = torch.zeros(scores.shape[-1], dtype=torch.bool, device=scores.device)
        ban[list(banned)] = True
        scores = scores.masked_fill(ban, -torch.inf)
    return scores


def _reorder(memory: Sequence[LayerMemory], rows: Tensor) -> None:
    """Reorder the key-value cache: row k becomes the former row rows[k]."""
    for kept in memory:
        kept.place_keys, kept.place_values = kept.place_keys[rows], kept.place_values[rows]
        if kept.keys is not None and kept.values is not None:
            kept.keys, kept.values = kept.keys[rows], kept.values[rows]
