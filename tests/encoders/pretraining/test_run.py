import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from encoders.pretraining.run import prepare_run, run_pretraining
from encoders.pretraining.schedules import Pretraining
from training.log import read_log


@dataclass(frozen=True)
class Settings:
    rate: float = 0.1
    workers: int = 1


class Line(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.line = nn.Linear(3, 1)

    def loss(self, batch: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
        return self.line(batch).square().mean(), {}

    def constrain(self) -> None:
        pass


def batches(first: int) -> Iterator[torch.Tensor]:
    for number in range(first, 100):
        yield torch.randn(4, 3, generator=torch.Generator().manual_seed(number))


def interrupted_batches(first: int) -> Iterator[torch.Tensor]:
    for number, batch in zip(range(first, 100), batches(first), strict=False):
        if number == 5:
            raise KeyboardInterrupt
        yield batch


def test_a_resumed_training_equals_an_uninterrupted_one(tmp_path: Path):
    whole = Line()
    prepare_run(tmp_path / "whole", Settings(), frozenset())
    run_pretraining(Pretraining(whole, 12), batches, tmp_path / "whole", 4, save_every=4)

    run = tmp_path / "halved"
    prepare_run(run, Settings(), frozenset())
    with pytest.raises(KeyboardInterrupt):
        run_pretraining(Pretraining(Line(), 12), interrupted_batches, run, 4, save_every=4)
    halved = Line()
    prepare_run(run, Settings(), frozenset())
    resumed = Pretraining(halved, 12)
    run_pretraining(resumed, batches, run, 4, save_every=4)
    assert resumed.step == 12
    assert torch.equal(halved.line.weight, whole.line.weight)
    assert read_log(run) == read_log(tmp_path / "whole")


def test_ctrl_c_stops_after_the_current_step(tmp_path: Path):
    def pressed(first: int) -> Iterator[torch.Tensor]:
        for number, batch in zip(range(first, 100), batches(first), strict=False):
            if number == 2:
                signal.raise_signal(signal.SIGINT)
            yield batch

    prepare_run(tmp_path, Settings(), frozenset())
    with pytest.raises(SystemExit, match="Stopped after 3 steps; run the same command to resume"):
        run_pretraining(Pretraining(Line(), 12), pressed, tmp_path, 4, save_every=100)
    resumed = Pretraining(Line(), 12)
    run_pretraining(resumed, batches, tmp_path, 4, save_every=100)
    assert [event["step"] for event in read_log(tmp_path)] == [0, 10, 11]


def test_a_finished_training_is_not_repeated(tmp_path: Path):
    prepare_run(tmp_path, Settings(), frozenset())
    first, second = Line(), Line()
    run_pretraining(Pretraining(first, 3), batches, tmp_path, 4, save_every=100)
    run_pretraining(Pretraining(second, 3), lambda _: iter([]), tmp_path, 4, save_every=100)
    assert torch.equal(first.line.weight, second.line.weight)


def test_a_run_with_other_settings_is_refused(tmp_path: Path):
    prepare_run(tmp_path, Settings(), frozenset())
    prepare_run(tmp_path, Settings(rate=0.3), frozenset())  # allowed, because no state is saved yet
    run_pretraining(Pretraining(Line(), 1), batches, tmp_path, 4, save_every=1)
    may_change = frozenset({"workers"})
    prepare_run(tmp_path, Settings(rate=0.3, workers=2), may_change)
    with pytest.raises(ValueError, match=r"config\.json .*rate: 0\.3 against 0\.2"):
        prepare_run(tmp_path, Settings(rate=0.2), may_change)
