"""Fixtures: an export of one episode, and settings of a fine-tuning on it."""

import shutil

import pytest

from clipnav.agents.demonstrations.export import export_demonstrations
from clipnav.agents.demonstrations.recording.settings import DemonstrationConfig
from clipnav.agents.language_models.settings import PromptConfig
from clipnav.agents.vlm_finetuning.settings import FinetuneVlmConfig
from clipnav.training.optimiser_settings import OptimiserConfig
from tests.agents.demonstrations.conftest import write_skyboxes
from tests.agents.language_models.tiny_models import write_llava

PROMPT = PromptConfig(image_size=32, known_map=False, history_pictures=0)


@pytest.fixture(scope="session")
def pictured(tiny_world, tmp_path_factory, marked_skybox):
    """Data folder of the tiny world with skyboxes."""
    folder = tmp_path_factory.mktemp("pictured") / "data"
    shutil.copytree(tiny_world, folder)
    write_skyboxes(folder, marked_skybox)
    return folder


@pytest.fixture(scope="session")
def messages(pictured, tmp_path_factory):
    """Export of one episode."""
    config = DemonstrationConfig(
        tmp_path_factory.mktemp("export") / "data",
        format="messages",
        world="matterport",
        data_dir=pictured,
        teacher="shortest",
        episodes=1,
        prompt=PROMPT,
    )
    export_demonstrations(config)
    return config.output


@pytest.fixture(scope="session")
def llava(tmp_path_factory):
    """Folder of a tiny model with random weights."""
    folder = tmp_path_factory.mktemp("llava")
    write_llava(folder)
    return folder


@pytest.fixture
def finetuning(messages, llava, tmp_path):
    """Settings of a fine-tuning of adapters of that model."""
    pytest.importorskip("peft")
    return FinetuneVlmConfig(
        data=messages,
        model=str(llava),
        iterations=4,
        batch_size=2,
        evaluate_every=2,
        output=tmp_path / "run",
        optimiser=OptimiserConfig(name="adamw", learning_rate=3e-3, betas=(0.9, 0.99)),
    )
