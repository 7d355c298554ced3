"""Baseline for `vl_pretraining.py`: a step of CLIP-ViL_p written in the style of the original.

Attention is written out; sentences are padded to the full length; the
head of masked words runs over all positions; cells are drawn by numpy, image by image; and AdamW
loops over the weights, as that of transformers 3 does.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipnav.vl_tasks.clip_vil_p.data.pair_batches import Batch


def gelu(x: Tensor) -> Tensor:
    """Compute GELU as pytorch-pretrained-bert does."""
    return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


class PlainLayer(nn.Module):
    """A layer of BERT."""

    def __init__(self, hidden: int, heads: int, feed_forward: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        attention = {name: nn.Linear(hidden, hidden) for name in ("query", "key", "value")}
        norm = {"LayerNorm": nn.LayerNorm(hidden, eps=1e-12)}
        own = nn.ModuleDict(attention)
        after = nn.ModuleDict({"dense": nn.Linear(hidden, hidden), **norm})
        self.attention = nn.ModuleDict({"self": own, "output": after})
        self.intermediate = nn.ModuleDict({"dense": nn.Linear(hidden, feed_forward)})
        last = {"dense": nn.Linear(feed_forward, hidden), "LayerNorm": nn.LayerNorm(hidden, 1e-12)}
        self.output = nn.ModuleDict(last)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Compute the layer of states (B, L, hidden) with an additive mask (B, 1, 1, L)."""
        own: Any = self.attention["self"]
        query, key, value = (
            own[name](x).view(*x.shape[:2], self.heads, -1).permute(0, 2, 1, 3)
            for name in ("query", "key", "value")
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + mask
        mixed = self.dropout(scores.softmax(-1)) @ value
        mixed = mixed.permute(0, 2, 1, 3).contiguous().flatten(2)
        after: Any = self.attention["output"]
        x = after["LayerNorm"](self.dropout(after["dense"](mixed)) + x)
        inner = gelu(self.intermediate["dense"](x))
        return self.output["LayerNorm"](self.dropout(self.output["dense"](inner)) + x)


class PlainNetwork(nn.Module):
    """CLIP-ViL_p with its pre-training heads."""

    def __init__(
        self,
        visual: Any,
        channels: int,
        sizes: tuple[int, int, int, int],
        pieces: int,
        answers: int,
        cells: int | None,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        hidden, layers, heads, feed_forward = sizes
        self.cells, self.visual = cells, visual
        self.words = nn.Embedding(pieces, hidden, padding_idx=0)
        self.positions = nn.Embedding(512, hidden, padding_idx=0)
        self.types = nn.Embedding(2, hidden, padding_idx=0)
        self.rows, self.columns = nn.Embedding(25, channels), nn.Embedding(25, channels)
        self.project = nn.Linear(channels, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden, eps=1e-12) for _ in range(3))
        self.layer = nn.ModuleList(
            PlainLayer(hidden, heads, feed_forward, dropout) for _ in range(layers)
        )
        self.pooler, self.transform = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.decoder_bias = nn.Parameter(torch.zeros(pieces))
        self.matching = nn.Linear(hidden, 2)
        self.logit_fc = nn.Sequential(
            nn.Linear(hidden, 2 * hidden),
            nn.GELU(),
            nn.LayerNorm(2 * hidden, eps=1e-12),
            nn.Linear(2 * hidden, answers),
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: Batch, length: int) -> Tensor:
        """Compute the sum of the losses; sentences are padded to `length` word pieces."""
        missing = length - batch.pieces.shape[1]
        pieces, targets = (
            F.pad(batch.pieces, (0, missing)),
            F.pad(batch.words, (0, missing), value=-1),
        )
        places = torch.arange(length).expand_as(pieces)
        words = self.words(pieces) + self.positions(places) + self.types(torch.zeros_like(pieces))
        words = self.dropout(self.norms[0](words))
        cells = self.dropout(self.norms[1](self.project(self._cells(batch))))
        mask = torch.cat([(pieces != 0).float(), torch.ones(cells.shape[:2])], dim=1)
        mask = (1.0 - mask)[:, None, None] * -10000.0
        states = torch.cat([words, cells], dim=1)
        for layer in self.layer:
            states = layer(states, mask)
        pooled = self.pooler(states[:, 0])
        text = self.norms[2](gelu(self.transform(states[:, :length])))
        logits = F.linear(text, self.words.weight, self.decoder_bias)
        losses = (
            F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=-1),
            F.cross_entropy(self.matching(pooled), batch.matching, ignore_index=-1),
            F.cross_entropy(self.logit_fc(pooled), batch.answers, ignore_index=-1),
        )
        return losses[0] + losses[1] + losses[2]

    def _cells(self, batch: Batch) -> Tensor:
        """Compute the drawn cells (B, cells, C) of the images, with positions."""
        pixels = batch.pictures.pixels.float() / 255
        mean, std = (torch.tensor(getattr(self.visual, f"image_{n}")) for n in ("mean", "std"))
        x = self.visual.stem((pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        for stage in (1, 2, 3, 4):
            x = getattr(self.visual, f"layer{stage}")(x)
        height, width = x.shape[2:]
        x = x.permute(0, 2, 3, 1)
        x = x + self.rows(torch.arange(height))[:, None] + self.columns(torch.arange(width))
        x = x.flatten(1, 2)
        if self.cells is None or self.cells >= x.shape[1]:
            return x
        drawn = [np.random.choice(x.shape[1], self.cells, replace=False) for _ in x]  # noqa: NPY002
        return torch.stack(
            [image[torch.from_numpy(rows)] for image, rows in zip(x, drawn, strict=True)]
        )


class PlainAdamW:
    """AdamW that loops over the weights."""

    def __init__(self, weights: list[nn.Parameter], rate: float) -> None:
        self._weights, self._rate, self._step = weights, rate, 0
        self._means = [(torch.zeros_like(w), torch.zeros_like(w)) for w in weights]

    @torch.no_grad()
    def step(self) -> None:
        """Update the weights once."""
        self._step += 1
        for weight, (mean, square) in zip(self._weights, self._means, strict=True):
            if weight.grad is None:
                continue
            mean.mul_(0.9).add_(weight.grad, alpha=0.1)
            square.mul_(0.999).addcmul_(weight.grad, weight.grad, value=0.001)
            size = self._rate * math.sqrt(1 - 0.999**self._step) / (1 - 0.9**self._step)
            weight.addcdiv_(mean, square.sqrt().add_(1e-6), value=-size)
            weight.add_(weight, alpha=-self._rate * 0.01)


class PlainTrainer:
    """Optimisers and clipping of the original around the network."""

    def __init__(self, network: PlainNetwork) -> None:
        self.network = network
        trunk = list(network.visual.parameters())
        in_trunk = set(trunk)
        others = [w for w in network.parameters() if w not in in_trunk]
        self._adam = PlainAdamW(others, 1e-4)
        self._sgd = torch.optim.SGD(trunk, 0.003, weight_decay=4e-4)

    def step(self, batch: Batch, length: int) -> float:
        """Train one step; return the loss."""
        self.network.train()
        for weight in self.network.parameters():
            weight.grad = None
        loss = self.network(batch, length)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self._adam.step()
        self._sgd.step()
        return loss.item()


def shared_weights(network: PlainNetwork) -> dict[str, Tensor]:
    """Return the weights under the names of `PretrainingNetwork`."""
    names = {
        "words.": "stream.bert.embeddings.word_embeddings.",
        "positions.": "stream.bert.embeddings.position_embeddings.",
        "types.": "stream.bert.embeddings.token_type_embeddings.",
        "norms.0.": "stream.bert.embeddings.LayerNorm.",
        "norms.1.": "stream.visual.norm.",
        "norms.2.": "words.norm.",
        "rows.": "stream.visual.rows.",
        "columns.": "stream.visual.columns.",
        "project.": "stream.visual.project.",
        "layer.": "stream.bert.encoder.layer.",
        "pooler.": "stream.pooler.",
        "transform.": "words.transform.",
        "decoder_bias": "words.bias",
        "matching.": "matching.",
        "logit_fc.": "answers.",
        "visual.": "trunk.visual.",
    }
    renamed = {}
    for name, tensor in network.state_dict().items():
        old = next(prefix for prefix in names if name.startswith(prefix))
        renamed[names[old] + name.removeprefix(old)] = tensor
    return renamed
