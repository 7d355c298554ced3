"""The single stream of CLIP-ViL_p: a BERT over word pieces and grid cells.

Shen et al., "How Much Can CLIP Benefit Vision-and-Language Tasks?" (arXiv 2107.06383), section 4.2;
CLIP-ViL-Pretrain/src/lxrt/modeling.py (`LXRTModel`, `VisualFeatEncoder`).
"""

from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from transformers import BertModel


class States(NamedTuple):
    """Hidden states of B pairs of T word pieces and N grid cells.

    Attributes:
        words: (B, T, hidden).
        cells: (B, N, hidden).
        pooled: (B, hidden), from the first word piece, [CLS], or from means over words and cells.
    """

    words: Tensor
    cells: Tensor
    pooled: Tensor


class VisualEmbedding(nn.Module):
    """Embedding of grid cells for the transformer."""

    def __init__(
        self, channels: int, hidden: int, positions: int, dropout: float, epsilon: float
    ) -> None:
        super().__init__()
        self.positions = positions
        if positions:
            self.rows = nn.Embedding(positions, channels)
            self.columns = nn.Embedding(positions, channels)
        self.project = nn.Linear(channels, hidden)
        self.norm = nn.LayerNorm(hidden, eps=epsilon)
        self.dropout = nn.Dropout(dropout)

    def place(self, grid: Tensor) -> Tensor:
        """Add the position embeddings to a grid (B, h, w, C), before the projection."""
        if not self.positions:
            return grid
        height, width = grid.shape[1:3]
        return grid + self.rows.weight[:height, None] + self.columns.weight[:width]

    @torch.no_grad()
    def standardise(self, cells: Tensor) -> None:
        """Change the projection as if each channel had mean 0 and standard deviation 1.

        CLIP's features have a large common part, which hides the differences between cells and
        images from a projection that is initialised at random.

        Args:
            cells: Grid features (M, C) of training images.
        """
        spread, mean = torch.std_mean(cells, dim=0, correction=0)
        self.project.weight.div_(spread.clamp(min=1e-4))
        self.project.bias.sub_(self.project.weight @ mean)

    def forward(self, cells: Tensor) -> Tensor:
        """Embed cells (B, N, C), to which `place` has added positions: (B, N, hidden)."""
        return self.dropout(self.norm(self.project(cells)))


class SingleStream(nn.Module):
    """Transformer over word pieces followed by grid cells.

    `model` is the name of the model, for messages about weights of another one.

    Args:
        faithful: No tanh in the pooler; and row 0 of the tables of positions and segments is not
            trained, which BERT uses for [CLS] and for all words (`padding_idx=0` of LXMERT).
    """

    model = "clip-vil-p"

    def __init__(
        self,
        bert: "BertModel",
        channels: int,
        positions: int,
        faithful: bool = False,
        pools_means: bool = False,
    ) -> None:
        super().__init__()
        config = bert.config
        self.bert = bert
        self.visual = VisualEmbedding(
            channels,
            config.hidden_size,
            positions,
            config.hidden_dropout_prob,
            config.layer_norm_eps,
        )
        self.pooler = nn.Linear(config.hidden_size, config.hidden_size)
        self._faithful, self._pools_means = faithful, pools_means
        if faithful:
            bert.embeddings.position_embeddings.padding_idx = 0
            bert.embeddings.token_type_embeddings.padding_idx = 0

    def forward(self, pieces: Tensor, grid: Tensor, mask: Tensor, cells: int | None) -> States:
        """Compute the hidden states.

        Args:
            pieces: Ids of word pieces (B, T); 0 is padding.
            grid: (B, h, w, C).
            mask: (B, h, w) bool; False in cells that are padding.
        """
        placed, mask = self.visual.place(grid).flatten(1, 2), mask.flatten(1)
        if cells is not None and cells < placed.shape[1]:
            drawn = draw_cells(mask, cells)  # (B, cells)
            placed = placed.gather(1, drawn[..., None].expand(-1, -1, placed.shape[2]))
            mask = mask.gather(1, drawn)
        return self.encode(pieces, pieces != 0, placed, mask)

    def encode(self, pieces: Tensor, word_mask: Tensor, cells: Tensor, mask: Tensor) -> States:
        """Compute the hidden states of word pieces (B, T) and placed cells (B, N, C).

        Args:
            word_mask: (B, T) bool; False in padding.
            mask: (B, N) bool; False in padding.
        """
        joined = self.embed(pieces, cells)
        allowed = torch.cat([word_mask, mask], dim=1)[:, None, None]  # (B, 1, 1, T + N)
        self.bert.config._attn_implementation, attention_mask = _attention(allowed)
        states = self.bert.encoder(joined, attention_mask=attention_mask).last_hidden_state
        words, visual = states.split([pieces.shape[1], cells.shape[1]], dim=1)
        whole = words[:, 0]
        if self._pools_means:
            whole = _mean(words, word_mask) + _mean(visual, mask)
        pooled = self.pooler(whole)
        return States(words, visual, pooled if self._faithful else pooled.tanh())

    def embed(self, pieces: Tensor, cells: Tensor) -> Tensor:
        """Embed word pieces (B, T) and placed cells (B, N, C): (B, T + N, hidden)."""
        words = self.bert.embeddings(input_ids=pieces)
        return torch.cat([words, self.visual(cells).to(words.dtype)], dim=1)


def _mean(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean (B, hidden) of the states (B, L, hidden) where a mask (B, L) is True."""
    weights = mask.to(states.dtype)[..., None]
    return (states * weights).sum(1) / weights.sum(1)


def _attention(allowed: Tensor) -> tuple[str, Tensor]:
    """Return the name in transformers of the attention to compute, and its mask.

    Training on the CPU uses the written-out products of transformers. Those of torch compute
    bfloat16 in float32, and check for rows without a key, which takes up to three times as long.
    """
    kind = allowed.device.type
    if kind != "cpu" or not torch.is_grad_enabled():
        return "sdpa", allowed
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else torch.float32
    mask = torch.zeros(allowed.shape, dtype=dtype)
    return "eager", mask.masked_fill_(~allowed, torch.finfo(dtype).min)


def draw_cells(mask: Tensor, count: int) -> Tensor:
    """Draw `count` distinct cells per image: (B, count) int64.

    Padding is drawn only if an image has fewer cells; the random numbers are those of torch on the
    device of the mask.

    Args:
        mask: (B, N) bool; False in cells that are padding.
    """
    order = torch.rand(mask.shape, device=mask.device)
    return order.masked_fill(~mask, -1.0).topk(count, dim=1).indices


class JointEmbedding(VisualEmbedding):
    """Embedding of visual tokens, without layer norm: that of BERT follows.

    Args:
        positions: Number of rows and of columns with position embeddings; 0: one position for all
            tokens, as in the original, whose position ids are all equal to the number of tokens.
    """

    def __init__(self, channels: int, hidden: int, positions: int) -> None:
        nn.Module.__init__(self)
        self.positions = positions
        self.project = nn.Linear(channels, hidden)
        # Kept as tables, so that they are initialised and decayed like BERT's.
        self.kind = nn.Embedding(1, hidden)
        self.rows = nn.Embedding(max(positions, 1), hidden)
        if positions:
            self.columns = nn.Embedding(positions, hidden)

    def place(self, grid: Tensor) -> Tensor:
        """Embed visual tokens (B, h, w, C) with their positions: (B, h, w, hidden)."""
        tokens = self.project(grid) + self.kind.weight[0]
        if not self.positions:
            return tokens + self.rows.weight[0]
        height, width = grid.shape[1:3]
        return tokens + self.rows.weight[:height, None] + self.columns.weight[:width]

    def forward(self, cells: Tensor) -> Tensor:
        """Return tokens that `place` has embedded."""
        return cells


class JointStream(SingleStream):
    """Transformer over word pieces followed by visual tokens, which share BERT's layer norm."""

    model = "multilingual"

    def __init__(
        self, bert: "BertModel", channels: int, positions: int, pools_means: bool = False
    ) -> None:
        super().__init__(bert, channels, 0, pools_means=pools_means)
        self.visual = JointEmbedding(channels, bert.config.hidden_size, positions)

    def embed(self, pieces: Tensor, cells: Tensor) -> Tensor:
        """Embed word pieces (B, T) and placed visual tokens (B, N, hidden): (B, T + N, hidden)."""
        tables = self.bert.embeddings
        words = tables.word_embeddings(pieces) + tables.token_type_embeddings.weight[0]
        words = words + tables.position_embeddings.weight[: pieces.shape[1]]
        joined = torch.cat([words, cells.to(words.dtype)], dim=1)
        return tables.dropout(tables.LayerNorm(joined))
