import os
import subprocess
import sys

import torch

from clipnav.agents.layers.recurrent import BidirectionalLSTM, read_real

AUTOCAST = """
import torch
from clipnav.agents.layers.recurrent import LSTM
lstm = LSTM(5, 6, batch_first=True)
halves = torch.ones(1, 2, 6, dtype=torch.bfloat16)
with torch.autocast("cpu", torch.bfloat16):
    outputs, state = lstm(torch.ones(2, 3, 5))
    outputs, state = lstm(torch.ones(2, 3, 5, dtype=torch.bfloat16), (halves, halves))
assert torch.isfinite(outputs).all()
outputs.float().sum().backward()
"""


def test_lstms_train_under_autocast_on_processors_without_bfloat16():
    environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
    subprocess.run([sys.executable, "-c", AUTOCAST], env=environment, check=True)


def instructions(rows):
    """Return sequences (rows, 9, 5) of 1 to 9 elements, zero on padding, and their mask."""
    generator = torch.Generator().manual_seed(0)
    lengths = torch.randint(1, 10, (rows,), generator=generator)
    lengths[rows // 2] = 9
    mask = torch.arange(9) < lengths.unsqueeze(1)
    return torch.randn(rows, 9, 5, generator=generator) * mask.unsqueeze(2), mask


def encoded(encode, sequence, mask):
    """Return outputs, last cells, and the gradients of the sequence and the weights."""
    sequence = sequence.clone().requires_grad_()
    network = encode.__self__
    network.zero_grad()
    outputs, cells = encode(sequence, mask)
    (outputs.square().sum() + cells.sum()).backward()
    gradients = [weights.grad.clone() for weights in network.parameters()]
    return outputs, cells, sequence.grad * mask.unsqueeze(2), *gradients


def test_chunks_give_the_results_of_all_rows_at_once():
    torch.manual_seed(0)
    network = BidirectionalLSTM(5, 8)
    for rows in (16, 17, 40):
        sequence, mask = instructions(rows)
        chunked = encoded(network.forward, sequence, mask)
        whole = encoded(network._encode, sequence, mask)
        for mine, theirs in zip(chunked, whole, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-6)


def test_a_row_does_not_depend_on_the_other_rows_of_its_batch():
    torch.manual_seed(0)
    network = BidirectionalLSTM(5, 8)
    sequence, mask = instructions(40)
    outputs, cells = network(sequence, mask)
    assert (outputs[~mask] == 0).all()
    for row in range(40):
        length = int(mask[row].sum())
        alone, cell = network(sequence[row : row + 1, :length], mask[row : row + 1, :length])
        torch.testing.assert_close(outputs[row, :length], alone[0], rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(cells[row], cell[0], rtol=1e-5, atol=1e-6)


def test_rows_that_leave_give_the_results_of_whole_rows():
    torch.manual_seed(0)
    lstm = torch.nn.LSTM(5, 6, batch_first=True)
    for rows in (1, 16, 17, 40):
        sequence, mask = instructions(rows)
        start = torch.randn(2, 1, rows, 6).requires_grad_().unbind(0)
        found = []
        for outputs in (read_real(lstm, sequence, mask, start), lstm(sequence, start)[0][mask]):
            weights = [*lstm.parameters(), *start]
            found.append([outputs, *torch.autograd.grad(outputs.square().sum(), weights)])
        for mine, theirs in zip(*found, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
