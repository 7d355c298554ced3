"""Settings of the wanderer; nothing here imports torch, so that --help answers at once."""

from dataclasses import dataclass

from clipnav import AgentConfig


@dataclass(frozen=True)
class WandererConfig(AgentConfig):
    """Settings of the wanderer's training by imitation."""

    hidden_size: int = 32
    """Width of the embeddings."""


def defaults(dataset, world, preset, flag):
    """Return the settings without flags."""
    return WandererConfig(dataset=dataset, world=world, iterations=200, evaluate_every=100)
