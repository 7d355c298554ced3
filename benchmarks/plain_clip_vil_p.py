"""Baseline for `vl_pretraining.py`: a step of CLIP-ViL_p written in the style of the original.

Attention is written out; sentences are padded to the full length; the head of masked words runs
over all positions; cells are drawn by numpy, image by image; and AdamW loops over the weights, as
that of transformers 3 does. The weights are those of a `PretrainingNetwork`.
"""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from clipnav.vl_tasks.clip_vil_p.data.pair_batches import Batch
from clipnav.vl_tasks.clip_vil_p.networks.network import PretrainingNetwork


def gelu(x: Tensor) -> Tensor:
    """Compute GELU as pytorch-pretrained-bert does."""
    return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


class PlainNetwork(nn.Module):
    """CLIP-ViL_p with the pre-training heads of a network, and an unchanged image tower."""

    def __init__(self, network: PretrainingNetwork, visual: Any, cells: int | None) -> None:
        super().__init__()
        self.cells, self.visual, self.stream = cells, visual, network.stream
        self.words, self.matching = network.words, network.matching
        self.answers: Any = network.answers
        self.dropout = network.stream.visual.dropout
        self.heads = network.stream.bert.config.num_attention_heads

    def forward(self, batch: Batch, length: int) -> Tensor:
        """Compute the sum of the losses; sentences are padded to `length` word pieces."""
        tables, visual, head = self.stream.bert.embeddings, self.stream.visual, self.words
        missing = (0, length - batch.pieces.shape[1])
        pieces, targets = F.pad(batch.pieces, missing), F.pad(batch.words, missing, value=-1)
        words = tables.word_embeddings(pieces) + tables.token_type_embeddings(0 * pieces)
        words = words + tables.position_embeddings(torch.arange(length).expand_as(pieces))
        words = self.dropout(tables.LayerNorm(words))
        cells = self.dropout(visual.norm(visual.project(self.draw_cells(batch))))
        mask = torch.cat([(pieces != 0).float(), torch.ones(cells.shape[:2])], dim=1)
        mask = (1.0 - mask)[:, None, None] * -10000.0
        states = torch.cat([words, cells], dim=1)
        for layer in self.stream.bert.encoder.layer:
            states = self.transform(layer, states, mask)
        pooled = self.stream.pooler(states[:, 0])
        text = head.norm(gelu(head.transform(states[:, :length])))
        logits = F.linear(text, tables.word_embeddings.weight, head.bias)
        pairs = (
            (logits.flatten(0, 1), targets.flatten()),
            (self.matching(pooled), batch.matching),
            (self.answers(pooled), batch.answers),
        )
        losses = [F.cross_entropy(x, target, ignore_index=-1) for x, target in pairs]
        return torch.stack(losses).sum()

    def transform(self, layer: Any, x: Tensor, mask: Tensor) -> Tensor:
        """Compute a layer of BERT of states (B, L, hidden) with an additive mask (B, 1, 1, L)."""
        own, after = layer.attention.self, layer.attention.output
        query, key, value = (
            part(x).view(*x.shape[:2], self.heads, -1).permute(0, 2, 1, 3)
            for part in (own.query, own.key, own.value)
        )
        scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1]) + mask
        mixed = self.dropout(scores.softmax(-1)) @ value
        mixed = mixed.permute(0, 2, 1, 3).contiguous().flatten(2)
        x = after.LayerNorm(self.dropout(after.dense(mixed)) + x)
        inner = self.dropout(layer.output.dense(gelu(layer.intermediate.dense(x))))
        return layer.output.LayerNorm(inner + x)

    def draw_cells(self, batch: Batch) -> Tensor:
        """Compute the drawn cells (B, cells, C) of the images, with positions."""
        pixels = batch.pictures.pixels.float() / 255
        mean, std = (torch.tensor(getattr(self.visual, f"image_{n}")) for n in ("mean", "std"))
        x = self.visual.stem((pixels - mean.view(3, 1, 1)) / std.view(3, 1, 1))
        for stage in (1, 2, 3, 4):
            x = getattr(self.visual, f"layer{stage}")(x)
        rows, columns = map(torch.arange, x.shape[2:])
        tables = self.stream.visual
        x = x.permute(0, 2, 3, 1) + tables.rows(rows)[:, None] + tables.columns(columns)
        x = x.flatten(1, 2)
        if self.cells is None or self.cells >= x.shape[1]:
            return x
        drawn = [np.random.choice(x.shape[1], self.cells, replace=False) for _ in x]  # noqa: NPY002
        rows = zip(x, map(torch.from_numpy, drawn), strict=True)
        return torch.stack([image[chosen] for image, chosen in rows])


class PlainTrainer:
    """Optimisers and clipping of the original around the network."""

    def __init__(self, network: PlainNetwork) -> None:
        self.network, self._steps, self._rate = network, 0, 1e-4
        trunk = list(network.visual.parameters())
        self._sgd = torch.optim.SGD(trunk, 0.003, weight_decay=4e-4)
        others = [w for w in network.parameters() if w not in set(trunk)]
        self._means = [(w, torch.zeros_like(w), torch.zeros_like(w)) for w in others]

    def step(self, batch: Batch, length: int) -> float:
        """Train one step; return the loss."""
        self.network.train()
        self.network.zero_grad()
        loss = self.network(batch, length)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.update()
        self._sgd.step()
        return loss.item()

    @torch.no_grad()
    def update(self) -> None:
        """Update the weights of the transformer by AdamW, one after another."""
        self._steps += 1
        for weight, mean, square in self._means:
            if weight.grad is None:
                continue
            mean.mul_(0.9).add_(weight.grad, alpha=0.1)
            square.mul_(0.999).addcmul_(weight.grad, weight.grad, value=0.001)
            size = self._rate * math.sqrt(1 - 0.999**self._steps) / (1 - 0.9**self._steps)
            weight.addcdiv_(mean, square.sqrt().add_(1e-6), value=-size)
            weight.add_(weight, alpha=-self._rate * 0.01)
