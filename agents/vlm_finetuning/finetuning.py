"""Fine-tuning from the records to a folder that transformers and evaluate-vlm load."""

import os
import shutil
from pathlib import Path

from clipnav.agents.vlm_finetuning.learner import VlmLearner, vlm_trainer
from clipnav.agents.vlm_finetuning.settings import FinetuneVlmConfig
from clipnav.storage import temporary_path

MERGED = "merged"


def finetune_vlm(config: FinetuneVlmConfig) -> Path:
    """Fine-tune a model, print its figures, and write RUN/merged."""
    trainer, learner = vlm_trainer(config)
    trainer.train()
    learner.load_model(trainer.run)
    learner.network.eval()
    results = dict(learner.evaluate()) if learner.validation else {}
    trainer.report(results)
    for split, figures in results.items():
        for name, value in figures.items():
            print(f"{split}: {name} {value:.3f}")
    folder = write_merged(learner, trainer.run)
    print(f"Model: {folder}; evaluate it with clipnav evaluate-vlm --local-model {folder}")
    return folder


def write_merged(learner: VlmLearner, run: Path) -> Path:
    """Write the model, with its adapters merged into it, and its processor; return the folder.

    A folder of an earlier training stays until the new one is complete.
    """
    folder = run / MERGED
    beside = temporary_path(folder)
    model = learner.model.merge_and_unload() if learner.config.lora_rank else learner.model
    try:
        model.save_pretrained(beside)
        learner.processor.save_pretrained(beside)
        shutil.rmtree(folder, ignore_errors=True)
        os.replace(beside, folder)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return folder
