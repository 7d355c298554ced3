"""What the settings of a run stand for: encoder, splits, environments and the shape of the network.

Training and evaluation build the same.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
import torch
from gymnasium.vector import AutoresetMode

from clipnav.agents.continuous.conversion import COLOURS, ReleasedColours, without_marks
from clipnav.agents.continuous.networks import ContinuousNetwork, make_network
from clipnav.agents.continuous.settings import RELEASED, ContinuousTrainConfig
from clipnav.agents.continuous.walking import FrozenFeatures, GridEncoder, NetworkWalker
from clipnav.agents.settings.reading import agent_kind, run_spec
from clipnav.encoders.named_encoder import NamedEncoder
from clipnav.envs.continuous.environments.vector_env import ContinuousVectorEnv
from clipnav.envs.continuous.episodes import ContinuousSplit, load_continuous_split
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.settings import ContinuousSettings, task_settings
from clipnav.envs.continuous.simulator import ContinuousSimulator
from clipnav.envs.continuous.walkers import Walker
from clipnav.envs.tokenizers import Tokenizer, WordTokenizer, load_run_tokenizer
from clipnav.envs.worlds import World
from clipnav.storage.errors import UserError
from clipnav.training.checkpoints import VOCABULARY, load_model
from clipnav.training.settings import read_config
from clipnav.training.streams import Stream, iteration_seed


class TaskConfig(Protocol):
    """Settings of runs of all continuous agents."""

    @property
    def dataset(self) -> str:
        """Dataset."""
        ...

    @property
    def world(self) -> World:
        """Set of houses."""
        ...

    @property
    def seed(self) -> int:
        """Random seed."""
        ...

    @property
    def evaluation_batch_size(self) -> int:
        """Number of episodes in an evaluation batch."""
        ...

    @property
    def evaluation_splits(self) -> tuple[str, ...]:
        """Splits to evaluate on during training."""
        ...

    @property
    def evaluation_episodes(self) -> int | None:
        """Number of episodes of a split in an evaluation during training; None for all."""
        ...


class SplitTask(ABC):
    """Splits and environments of a continuous agent."""

    config: TaskConfig
    settings: ContinuousSettings
    tokenizer: Tokenizer

    def __init__(self, simulator: ContinuousSimulator) -> None:
        self.simulator = simulator
        self._splits: dict[str, ContinuousSplit] = {}

    @property
    @abstractmethod
    def name(self) -> str:
        """Name of the agent in tables."""

    def split(self, name: str) -> ContinuousSplit:
        """Return a split, which is loaded once."""
        if name not in self._splits:
            self._splits[name] = self._load(name, self.tokenizer)
        return self._splits[name]

    def env(self, split: str, size: int, draws: bool = True) -> ContinuousVectorEnv:
        """Build an environment of `size` agents without autoreset."""
        settings = self.settings if draws else replace(self.settings, observe=())
        return ContinuousVectorEnv(
            self.split(split), self.simulator, size, settings, AutoresetMode.DISABLED
        )

    @abstractmethod
    def _load(self, split: str, tokenizer: Tokenizer | None) -> ContinuousSplit: ...


class ContinuousTask(SplitTask):
    """Encoder, splits and environments of Seq2Seq and CMA."""

    config: ContinuousTrainConfig

    def __init__(
        self,
        config: ContinuousTrainConfig,
        run: Path | None = None,
        changes: Mapping[str, Any] | None = None,
    ) -> None:
        """Load what the settings name.

        Args:
            run: Folder of the run, whose vocabulary is used.
            changes: Settings of the environments that differ from those of the training.
        """
        self.config, self._changes = config, changes or {}
        encoder: GridEncoder
        if config.encoder == RELEASED:
            if run is None:
                raise UserError(f"--encoder {RELEASED}: for runs of clipnav convert-agent only")
            encoder = ReleasedColours.load(run / COLOURS, config.device)
        else:
            encoder = NamedEncoder.parse_unnamed(config.encoder).load(device=config.device)
        self.features = FrozenFeatures(encoder, config.depth_pixels, config.vision)
        size, pixels = self.features.picture_size, self.config.depth_pixels
        self.settings = task_settings(
            self.config.dataset,
            observe=("rgb", "depth") if self.config.vision else (),
            rgb_size=size,
            depth_size=(pixels, pixels) if self.config.encoder == RELEASED else size,
            teacher=self.config.teacher,
            **self._changes,
        )
        super().__init__(HouseSimulator(self.settings))
        if run is None:
            self._splits["train"] = self._load("train", None)
            self.tokenizer = self._splits["train"].tokenizer
        else:
            self.tokenizer = load_run_tokenizer(run / VOCABULARY)

    @property
    def metadata(self) -> dict[str, str]:
        """Metadata of the weights."""
        return {**self.features.metadata, "task": f"{self.config.dataset}-ce"}

    @property
    def name(self) -> str:
        """Name of the agent in tables: the kind of its network."""
        return self.config.network.kind

    def make_network(self) -> ContinuousNetwork:
        """Build the untrained network on the device of the run."""
        network = make_network(
            self.config.network, len(self.tokenizer), self.features.grid, self.settings.num_actions
        )
        return network.to(self.config.device)

    def walker(self, network: ContinuousNetwork) -> NetworkWalker:
        """Return the agent that takes the most probable actions of a network, or samples."""
        generator = None
        if self.config.evaluation_actions == "sample":
            seed = iteration_seed(self.config.seed, Stream.CONTINUOUS_BASELINES, 2)
            generator = torch.Generator().manual_seed(seed)
        words_of = np.asarray
        if self.config.encoder == RELEASED:
            assert isinstance(self.tokenizer, WordTokenizer)
            words_of = partial(without_marks, tokenizer=self.tokenizer)
        reads = self.config.use_instructions
        return NetworkWalker(network, self.features, reads, generator, words_of)

    def _load(self, split: str, tokenizer: Tokenizer | None) -> ContinuousSplit:
        config = self.config
        return load_continuous_split(config.dataset, split, config.world, tokenizer=tokenizer)


def read_continuous_config(run: Path) -> TaskConfig:
    """Read the settings of a run whose agent walks in continuous environments."""
    if run_spec(run).continuous is None:
        return read_config(run, ContinuousTrainConfig)
    # The settings of agents whose row has the part `continuous` are those of a continuous task too.
    return cast(TaskConfig, read_config(run, agent_kind(run)))


def load_continuous_run(
    run: Path, device: str | None = None, changes: Mapping[str, Any] | None = None
) -> tuple[SplitTask, Walker]:
    """Load the best weights of a run whose agent walks in continuous environments.

    It is a run of clipnav train-continuous-agent, or of clipnav train-agent with an agent whose row
    has `continuous`, which walks with the settings of its training only.

    Args:
        changes: Settings of the environments that differ from those of the training.
    """
    spec = run_spec(run)
    if spec.continuous is not None:
        if changes:
            raise UserError(
                f"{run}: --robot and --actuation-noise are for runs of train-continuous-agent"
            )
        return spec.call("continuous", run, device, kind=tuple)
    config = read_config(run, ContinuousTrainConfig)
    task = ContinuousTask(replace(config, device=device or config.device), run, changes)
    network = task.make_network()
    load_model(run, network, task.metadata)
    network.eval()
    return task, task.walker(network)
