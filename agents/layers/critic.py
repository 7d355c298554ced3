"""The critic: an estimate of the return."""

from torch import Tensor, nn

from clipnav.agents.layers.attention import Dropout


class Critic(nn.Module):
    """Two layers over the decoder's hidden state (EnvDrop `r2r_src/model.py: Critic`)."""

    def __init__(self, hidden: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Linear(hidden, hidden)
        self.dropout = Dropout(dropout)
        self.last = nn.Linear(hidden, 1)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return the values (N,) of hidden states (N, H)."""
        return self.last(self.dropout(self.first(hidden).relu())).squeeze(1)
