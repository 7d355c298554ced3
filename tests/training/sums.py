"""A small learner, and its trainer."""

import dataclasses
from pathlib import Path
from typing import ClassVar

import torch
from safetensors.torch import save
from torch import nn

from clipnav.storage.tensor_files import write_tensors
from clipnav.training.checkpoints import MODEL
from clipnav.training.learners import Selection
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.trainer import Trainer

COSINE = OptimiserConfig(learning_rate=0.01, schedule="cosine")


@dataclasses.dataclass(frozen=True)
class Config:
    output: Path | None = None
    resume: Path | None = None
    iterations: int = 20
    minutes: float | None = None
    evaluate_every: int = 5
    optimiser: OptimiserConfig = COSINE
    run_name: str = "sums"
    track: tuple = ()


class Sums:
    """Learns to add two numbers; its dropout makes the result depend on the seeds."""

    metadata: ClassVar = {"words": "two"}
    selection: Selection | None = Selection("val", "accuracy")

    def __init__(self):
        torch.manual_seed(0)
        self.network: nn.Module = nn.Sequential(
            nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.3), nn.Linear(8, 1)
        )
        self.clipped = [self.network]
        self.optimiser = torch.optim.Adam(self.network.parameters())
        self.inputs = torch.randn(4, 2)
        self.before = lambda: None

    def backward(self, iteration):
        self.before()
        loss = ((self.network(self.inputs)[:, 0] - self.inputs.sum(1)) ** 2).mean()
        loss.backward()
        return {"loss": loss.item()}

    def evaluate(self):
        error = (self.network(self.inputs)[:, 0] - self.inputs.sum(1)).abs().mean()
        return {"val": {"accuracy": 1 - error.item()}, "other": {"error": error.item()}}

    def start(self, run):
        (run / "numbers.txt").write_text("two")

    def save_model(self, run, iteration):
        metadata = {**self.metadata, "iteration": f"{iteration}"}
        write_tensors(run / MODEL, save(self.network.state_dict(), metadata))


def make_trainer(folder, learner=None, group=None, largest_loss=1e4, **changes):
    config = Config(**{"output": folder, **changes})
    return Trainer(config, learner or Sums(), lambda k: 100 + k, largest_loss, group)
