"""The single stream of multilingual VQA: visual tokens join a BERT before its first layer norm.

gchhablani/multilingual-vqa (0f43030e), models/flax_clip_vision_bert/modeling_clip_vision_bert.py
(`FlaxCLIPVisionBertEmbeddings`).
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from clipnav.vl_tasks.clip_vil_p.networks.stream import SingleStream, VisualEmbedding

if TYPE_CHECKING:
    from transformers import BertModel


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
