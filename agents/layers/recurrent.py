"""LSTMs over sequences of unequal length."""

import torch
from torch import Tensor, nn

# Rows that a CPU encodes at once. A chunk of rows of similar length has little padding; smaller
# chunks have smaller matrix products, which are slower. GPUs encode all rows at once.
_CHUNK = 16


class LSTM(nn.LSTM):
    """nn.LSTM that autocast computes in float32 where the processor has no bfloat16 LSTM."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, sequence: Tensor, state: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return the outputs and the last state, as nn.LSTM."""
        if not torch.is_autocast_enabled(sequence.device.type) or _has_bf16_lstm(sequence.device):
            return super().forward(sequence, state)
        with torch.autocast(sequence.device.type, enabled=False):
            wide = None if state is None else (state[0].float(), state[1].float())
            return super().forward(sequence.float(), wide)


def _has_bf16_lstm(device: torch.device) -> bool:
    """Return whether torch computes LSTMs in bfloat16; oneDNN requires AVX-512 or better."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return True
    return torch.ops.mkldnn._is_mkldnn_bf16_supported()


class BidirectionalLSTM(nn.Module):
    """Bidirectional LSTM over padded sequences, without packing.

    The LSTM has no bias but an extra input, which is 1 on real elements and 0 on padding. Its zero
    state therefore stays zero while it reads padding at the front, and no packing is needed. This
    is two to three times faster on a CPU.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        half = hidden // 2
        self.forwards = LSTM(inputs + 1, half, bias=False, batch_first=True)
        self.backwards = LSTM(inputs + 1, half, bias=False, batch_first=True)

    def forward(self, sequence: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode sequences.

        Args:
            sequence: (B, L, W), zero on padding.
            mask: (B, L) bool, true on real elements, which precede the padding.

        Returns:
            Outputs (B, L, H), zero on padding, and last cell states (B, H), the backward direction
            first, in EnvDrop's order.
        """
        if sequence.device.type != "cpu" or len(sequence) <= _CHUNK:
            return self._encode(sequence, mask)
        order = mask.sum(1).argsort(descending=True)
        sequence, mask = sequence.index_select(0, order), mask.index_select(0, order)
        starts = order.unsqueeze(1) * mask.shape[1]  # (B, 1) row of the first element of each row
        outputs, cells, places = [], [], []
        for part, real, start in zip(
            sequence.split(_CHUNK), mask.split(_CHUNK), starts.split(_CHUNK), strict=True
        ):
            longest = int(real[0].sum())
            output, cell = self._encode(part[:, :longest], real[:, :longest])
            outputs.append(output.flatten(0, 1))
            cells.append(cell)
            places.append((start + torch.arange(longest)).flatten())
        # A single copy, because each copy into a part of a tensor copies the whole gradient.
        packed = torch.cat(outputs)
        spread = packed.new_zeros(mask.numel(), packed.shape[1])
        spread.index_copy_(0, torch.cat(places), packed)
        return spread.view(*mask.shape, -1), torch.cat(cells)[order.argsort()]

    def _encode(self, sequence: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Encode sequences as in `forward`, all at once."""
        real = mask.unsqueeze(2)
        sequence = torch.cat([sequence, real.to(sequence.dtype)], 2)  # (B, L, W+1)
        length = sequence.shape[1]
        shift = length - mask.sum(1, keepdim=True)  # (B, 1) padding to move to the front
        steps = torch.arange(length, device=sequence.device)
        ahead, (_, ahead_cell) = self.forwards(_take(sequence, (steps - shift) % length))
        ahead = _take(ahead, (steps + shift) % length)  # (B, L, H/2)
        back, (_, back_cell) = self.backwards(sequence.flip(1))
        outputs = torch.cat([ahead, back.flip(1)], 2)  # (B, L, H)
        return outputs, torch.cat([back_cell[0], ahead_cell[0]], 1)


def read_real(
    lstm: nn.LSTM, sequence: Tensor, mask: Tensor, state: tuple[Tensor, Tensor]
) -> Tensor:
    """Run an LSTM over padded sequences; rows leave the batch when they end, a chunk at a time.

    Args:
        sequence: (B, L, W).
        mask: (B, L) bool, true on real elements, which precede the padding.
        state: (1, B, H) hidden states and cells.

    Returns:
        (N, H) outputs of the real elements, row after row.
    """
    lengths, order = mask.sum(1).sort(descending=True)
    leaving = _CHUNK if sequence.device.type == "cpu" else len(order)
    sequence = sequence.index_select(0, order)
    hidden, cell = (part.index_select(1, order) for part in state)
    outputs, places = [], torch.zeros_like(mask, dtype=torch.long)
    start = count = 0
    for end in lengths[::leaving].unique().tolist():
        live = int((lengths > start).sum())
        state = hidden[:, :live], cell[:, :live]
        output, (hidden, cell) = lstm(sequence[:live, start:end], state)
        outputs.append(output.flatten(0, 1))
        index = torch.arange(count, count + live * (end - start), device=mask.device)
        places[order[:live], start:end] = index.view(live, -1)
        count, start = count + len(index), end
    return torch.cat(outputs).index_select(0, places[mask])


def _take(sequence: Tensor, index: Tensor) -> Tensor:
    """Reorder (B, L, W) along L by `index` (B, L)."""
    return sequence.gather(1, index.unsqueeze(2).expand(-1, -1, sequence.shape[2]))
