"""Writing captions: greedily, by sampling, and by beam search over a whole batch at once.

A step reads one word a caption; keys and values of what came before are kept. What is never
written (the unknown word) gets a score of minus infinity.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from vl_tasks.captioning.captioner import Captioner, LayerMemory
from vl_tasks.grids.grids import Grids


def write_greedily(
    captioner: Captioner, grids: Grids, max_length: int, banned: Sequence[int] = ()
) -> Tensor:
    """The likeliest word at each step.

    Returns:
        (B, T) captions, T at most `max_length`, each padded with 0 behind its end.
    """
    return _write(captioner, grids, 1, max_length, banned, lambda scores: scores.argmax(-1))


def sample(
    captioner: Captioner, grids: Grids, times: int, max_length: int, banned: Sequence[int] = ()
) -> Tensor:
    """Words drawn with the probabilities that the captioner gives them.

    Returns:
        (B S, T) captions, S = `times` of each picture one after another; see `write_greedily`.
    """

    def draw(scores: Tensor) -> Tensor:
        return torch.multinomial(scores.softmax(-1), 1)[:, 0]

    return _write(captioner, grids, times, max_length, banned, draw)


def beam_search(
    captioner: Captioner, grids: Grids, beams: int, max_length: int, banned: Sequence[int] = ()
) -> Tensor:
    """Find likely captions by beam search, without weighing their length.

    As in ImageCaptioning.pytorch (`CaptionModel.beam_search`): a caption that ends leaves the beam
    and is remembered, however many unfinished ones are likelier then, for they only get less
    likely. A caption of `max_length` words counts as finished, and the likeliest finished one is
    returned. Forbidden words are left out without giving their probability to the others.

    Args:
        captioner: In evaluation mode.
        grids: Of B pictures.
        beams: K, unfinished captions that are extended at each step.
        max_length: Words at most; longer captions are cut there.
        banned: Numbers that are never written.

    Returns:
        (B, T) captions, each padded with 0 behind its end.
    """
    places = captioner.encode(grids)
    count, device = len(places), places.device
    memory = captioner.begin(places)
    _reorder(memory, torch.arange(count, device=device).repeat_interleave(beams))
    mask = grids.mask.repeat_interleave(beams, 0)  # (B K, N)
    words = torch.zeros(count * beams, dtype=torch.long, device=device)
    # Only the first beam is open at first: they all hold the same empty caption.
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
        # Totals only fall, so what is unfinished and less likely cannot become likelier.
        if bool((finished.totals >= totals.max(1).values).all()):
            break
        rows = origin + beams * torch.arange(count, device=device)[:, None]
        _reorder(memory, rows.flatten())
        words = word.flatten()
    return finished.captions[:, : captions.shape[2]]


class _Finished:
    """The likeliest finished caption of each of B pictures.

    Attributes:
        totals: (B,) their log-probabilities; minus infinity where there is none yet.
        captions: (B, max_length), padded with 0.
    """

    def __init__(self, count: int, max_length: int, device: torch.device) -> None:
        self.totals = torch.full((count,), -torch.inf, device=device)
        self.captions = torch.zeros(count, max_length, dtype=torch.long, device=device)

    def keep_better(self, captions: Tensor, totals: Tensor) -> None:
        """Take the likeliest of K captions (B, K, T) where its total (B, K) is a new best one."""
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
    """How likely the captioner is to write captions.

    Args:
        captioner: The network.
        grids: Of P pictures.
        captions: (P S, T), S of each picture one after another, padded with 0.
        banned: Numbers that are never written.

    Returns:
        (P S, T) logarithms of the probability of each word, and (P S, T) bool, which of them count:
        the words and the 0 that ends them.
    """
    times = len(captions) // len(grids.mask)
    places = captioner.encode(grids).repeat_interleave(times, 0)
    mask = grids.mask.repeat_interleave(times, 0)
    before = torch.cat([torch.zeros_like(captions[:, :1]), captions[:, :-1]], dim=1)
    scores = _without(captioner(places, mask, before), banned).log_softmax(-1)
    found = scores.gather(2, captions[..., None])[..., 0]
    counts = torch.cat([torch.ones_like(before[:, :1]), before[:, 1:]], dim=1) != 0
    return found, counts


def _write(
    captioner: Captioner,
    grids: Grids,
    times: int,
    max_length: int,
    banned: Sequence[int],
    choose: Callable[[Tensor], Tensor],
) -> Tensor:
    """Write captions word by word; `choose` picks words (B,) from scores (B, vocabulary)."""
    places = captioner.encode(grids)
    memory = captioner.begin(places)
    mask = grids.mask
    if times > 1:
        rows = torch.arange(len(places), device=places.device).repeat_interleave(times)
        _reorder(memory, rows)
        mask = mask[rows]
    words = torch.zeros(len(mask), dtype=torch.long, device=places.device)
    ended = torch.zeros(len(mask), dtype=torch.bool, device=places.device)
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
    """Scores (..., vocabulary) with those of banned numbers at minus infinity."""
    if banned:
        ban = torch.zeros(scores.shape[-1], dtype=torch.bool, device=scores.device)
        ban[list(banned)] = True
        scores = scores.masked_fill(ban, -torch.inf)
    return scores


def _reorder(memory: Sequence[LayerMemory], rows: Tensor) -> None:
    """Let the memory follow captions: row k becomes what row rows[k] was."""
    for kept in memory:
        kept.place_keys, kept.place_values = kept.place_keys[rows], kept.place_values[rows]
        if kept.keys is not None and kept.values is not None:
            kept.keys, kept.values = kept.keys[rows], kept.values[rows]
