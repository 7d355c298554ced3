"""Representations loaded from their runs, alone and as parts of an agent."""

from pathlib import Path

import torch
from torch import Tensor

from clipnav.agents.clear.language_network import (
    LANGUAGE,
    LanguageRepresentation,
    make_language_network,
)
from clipnav.agents.clear.settings import LanguageConfig, VisualConfig
from clipnav.agents.clear.visual_network import VisualRepresentation, make_visual_network
from clipnav.agents.layers.pretrained import TextModel
from clipnav.agents.layers.visual import PanoramaView, ViewEncoder
from clipnav.agents.settings import AgentConfig, ClearConfig, RepresentationConfig
from clipnav.envs.tokenizers import Tokenizer, load_run_tokenizer
from clipnav.storage import file_sha256
from clipnav.storage.errors import UserError
from clipnav.storage.features.store import FeatureStore
from clipnav.training.checkpoints import MODEL, VOCABULARY, load_model
from clipnav.training.settings import read_config

_VISUAL = "visual representation"  # in the metadata of the weights of an agent
_DIGITS = 16  # of a digest


class RepresentedViews(ViewEncoder):
    """Visual representation as the view encoder of an agent."""

    def __init__(
        self,
        network: VisualRepresentation,
        identity: str,
        tune: bool = False,
        encode_stop: bool = False,
    ) -> None:
        super().__init__()
        self.network = network.requires_grad_(tune)
        self._identity, self._tune, self._encode_stop = identity, tune, encode_stop

    @property
    def architecture(self) -> dict[str, str]:
        """Digest of the representation that the agent started from."""
        return {_VISUAL: self._identity}

    def train(self, mode: bool = True) -> "RepresentedViews":
        """Set the training mode; a representation that is not tuned stays in evaluation mode."""
        super().train(mode and self._tune)
        return self

    def forward(self, view: PanoramaView) -> PanoramaView:
        """Return the view with encoded visual features; angles are unchanged."""
        with torch.set_grad_enabled(self._tune and torch.is_grad_enabled()):
            return self.network.view(view, self._encode_stop)

    def features(self, features: Tensor) -> Tensor:
        """Return encoded visual features (..., D)."""
        with torch.set_grad_enabled(self._tune and torch.is_grad_enabled()):
            return self.network(features)


def load_language(
    run: Path, device: str = "cpu"
) -> tuple[LanguageRepresentation, Tokenizer, LanguageConfig]:
    """Load the network, the tokenizer and the settings of a language representation."""
    settings = read_config(run, LanguageConfig)
    tokenizer = load_run_tokenizer(run / VOCABULARY)
    network = make_language_network(settings, tokenizer)
    load_model(run, network, {})
    return network.to(device).eval(), tokenizer, settings


def load_text_model(run: Path, max_instruction_length: int) -> TextModel:
    """Load a language representation as the text encoder of an agent."""
    network, _, settings = load_language(run)
    if max_instruction_length > settings.max_instruction_length:
        raise UserError(
            f"--max-instruction-length {max_instruction_length}: {run} reads at most "
            f"{settings.max_instruction_length} tokens; lower it, or train the representation "
            "with a higher one"
        )
    return network.text_model(_digest(run))


def load_view_encoder(
    run: Path, store: FeatureStore, settings: RepresentationConfig
) -> RepresentedViews:
    """Load a visual representation as the view encoder of an agent."""
    config = read_config(run, VisualConfig)
    network = make_visual_network(config, store.width)
    load_model(run, network, {"encoder": store.encoder})
    encode_stop = isinstance(settings, ClearConfig) and settings.encode_stop
    return RepresentedViews(network, _digest(run), settings.tune_visual, encode_stop)


def representation_metadata(config: AgentConfig) -> dict[str, str]:
    """Return the identity of the representations of an agent, as in the metadata of its weights."""
    visual = config.visual_representation if config.vision else None
    runs = {LANGUAGE: config.language_representation, _VISUAL: visual}
    return {name: _digest(run) for name, run in runs.items() if run is not None}


def _digest(run: Path) -> str:
    return file_sha256(run / MODEL)[:_DIGITS]
