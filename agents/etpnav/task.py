"""What the settings of a run of ETPNav stand for: splits, environments, pictures and the agent."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from clipnav.agents.acting.evaluation import agent_name
from clipnav.agents.acting.tokenizers import run_tokenizer
from clipnav.agents.continuous.tasks import SplitTask
from clipnav.agents.etpnav.agent import GhostWalker
from clipnav.agents.etpnav.network import EtpNavNetwork
from clipnav.agents.etpnav.panoramas import Surroundings
from clipnav.agents.etpnav.settings import EtpNavTrainConfig
from clipnav.agents.transformer.building import make_encoders
from clipnav.envs.continuous.episodes import ContinuousSplit, load_continuous_split
from clipnav.envs.continuous.house_simulator import HouseSimulator
from clipnav.envs.continuous.settings import task_settings
from clipnav.envs.tokenizers import Tokenizer, load_run_tokenizer
from clipnav.training.checkpoints import VOCABULARY, load_model
from clipnav.training.distributed import check_device
from clipnav.training.settings import read_config


class EtpNavTask(SplitTask):
    """Splits, environments and pictures of ETPNav; the environments draw nothing themselves.

    Attributes:
        surroundings: What agents see at their decisions.
    """

    config: EtpNavTrainConfig

    def __init__(self, config: EtpNavTrainConfig, tokenizer: Tokenizer) -> None:
        self.config, self.tokenizer = config, tokenizer
        limit = config.max_episode_steps
        changes = {} if limit is None else {"max_episode_steps": limit}
        self.settings = task_settings(config.dataset, observe=(), **changes)
        super().__init__(HouseSimulator(self.settings))
        self.surroundings = Surroundings(config, self.simulator)
        self.metadata = {**self.surroundings.metadata, "task": f"{config.dataset}-ce"}

    @property
    def name(self) -> str:
        """Name of the agent in tables, with its ablations."""
        return agent_name(self.config)

    def make_network(self) -> EtpNavNetwork:
        """Build the untrained network on the device of the run."""
        no_env: Any = None  # only the encoders of stored views require one
        text, _ = make_encoders(self.config, no_env)
        sizes = self.surroundings.colour_size, self.surroundings.depth_size
        network = EtpNavNetwork(self.config.network, len(self.tokenizer), *sizes, text)
        return network.to(self.config.device)

    def walker(self, network: EtpNavNetwork) -> GhostWalker:
        """Return the agent that takes the most probable decisions of a network."""
        return GhostWalker(network, self.surroundings, self.simulator, self.settings, self.config)

    def _load(self, split: str, tokenizer: Tokenizer | None) -> ContinuousSplit:
        config = self.config
        return load_continuous_split(
            config.dataset,
            split,
            config.world,
            config.data_dir,
            language=config.instruction_language,
            tokenizer=tokenizer,
            max_instruction_length=config.max_instruction_length,
            exchanged_words=config.exchanged_words,
        )


def training_task(config: EtpNavTrainConfig) -> EtpNavTask:
    """Return the task of a new or resumed run."""
    return EtpNavTask(config, run_tokenizer(config))


def load_etpnav(run: Path, device: str | None = None) -> tuple[EtpNavTask, GhostWalker]:
    """Load the best weights of a run, see `AgentSpec.continuous`."""
    config = read_config(run, EtpNavTrainConfig)
    config = replace(config, device=device or config.device)
    check_device(config.device)
    task = EtpNavTask(config, load_run_tokenizer(run / VOCABULARY))
    network = task.make_network()
    load_model(run, network, task.metadata)
    return task, task.walker(network.eval())
