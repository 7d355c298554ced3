"""Published recipes of CLIP-ViL-Pretrain, value by value."""

import dataclasses

import pytest

from clipnav.vl_tasks.clip_vil_p.settings import PRESETS as PRETRAIN_PRESETS
from clipnav.vl_tasks.entailment.settings import CLIP_VIL_P_PRESETS as CLIP_VIL_P_ENTAILMENT
from clipnav.vl_tasks.gqa.settings import CLIP_VIL_P_PRESETS as CLIP_VIL_P_GQA
from clipnav.vl_tasks.vqa.settings import CLIP_VIL_P_PRESETS as CLIP_VIL_P_VQA
from tests.vl_tasks.test_presets import check

PAIRS = 9_180_000
STAGES = {
    # name: (encoder, batch of a GPU, learning rate, epochs, milestones of the trunk, answering)
    "rn50-stage-1": ("RN50", 32, 1e-4, 20, (12, 17), False),
    "rn50-stage-2": ("RN50", 32, 5e-5, 11, (4, 8), True),
    "rn50x4-stage-1": ("RN50x4", 30, 5e-5, 20, (12, 17), False),
    "rn50x4-stage-2": ("RN50x4", 30, 2.75e-5, 11, (4, 9), True),
}


@pytest.mark.parametrize("name", STAGES)
def test_pretraining_presets_have_the_published_values(name):
    encoder, batch, rate, epochs, milestones, answering = STAGES[name]
    total = 8 * 2 * batch
    assert total == {"RN50": 512, "RN50x4": 480}[encoder]
    epoch = PAIRS // total
    check(
        dataclasses.asdict(PRETRAIN_PRESETS[name]),
        {
            "train_splits": ("train", "nominival", "vgnococo"),
            "image_size": (384, 640),
            "cells": 100,
            "max_words": 20,
            "answering": answering,
            "faithful": True,
            "batch_size": batch,
            "accumulate": 2,
            "iterations": epochs * epoch,
            "precision": "fp16",
            "text": {"bert": "bert-base-uncased", "dropout": 0.1},
            "trunk": {
                "encoder": encoder,
                "pretrained": "openai",
                "positions": 25,
                "standardise": False,
                "frozen_norms": False,
            },
            "optimiser": {
                "name": "adamw",
                "learning_rate": rate,
                "betas": (0.9, 0.999),
                "epsilon": 1e-6,
                "weight_decay": 0.01,
                "schedule": "linear",
                "warmup": round(0.025 * epochs * epoch),
                "clip": "norm",
                "clip_at": 1.0,
            },
            "trunk_optimiser": {
                "learning_rate": 0.003,
                "weight_decay": 4e-4,
                "milestones": tuple(epoch * k for k in milestones),
                "decay": 0.1,
            },
        },
    )


def test_the_vqa_preset_has_the_published_values():
    epoch = (443_757 + 214_354 - 25_994) // 256
    check(
        dataclasses.asdict(CLIP_VIL_P_VQA["clip-vil-p"]),
        {
            "model": "clip-vil-p",
            "train_splits": ("train", "nominival"),
            "select_by": "minival",
            "batch_size": 8,
            "iterations": 5 * epoch,
            "clip_vil_p": {
                "accumulate": 32,
                "loss_scale": 500.0,
                "max_words": 20,
                "frozen_norms": False,
                "trunk_optimiser": {
                    "learning_rate": 0.001,
                    "milestones": (2 * epoch,),
                    "decay": 0.1,
                },
            },
            "optimiser": {
                "name": "adamw",
                "learning_rate": 5e-5,
                "epsilon": 1e-6,
                "schedule": "linear",
                "warmup": round(0.05 * 5 * epoch),
                "clip": "norm",
                "clip_at": 1.0,
            },
        },
    )


def test_the_gqa_preset_has_the_published_loss_and_the_settings_of_vqa():
    epoch, vqa = 943_000 // 256, CLIP_VIL_P_VQA["clip-vil-p"]
    check(
        dataclasses.asdict(CLIP_VIL_P_GQA["clip-vil-p"]),
        {
            # CLIP-ViL-Pretrain/src/tasks/gqa.py: BCE, averaged and multiplied by the answers.
            "loss": "bce",
            "model": "clip-vil-p",
            "batch_size": 8,
            "iterations": 5 * epoch,
            "clip_vil_p": {
                **dataclasses.asdict(vqa.clip_vil_p),
                "loss_scale": None,
                "max_words": 20,
                "trunk_optimiser": {
                    "learning_rate": 0.001,
                    "milestones": (2 * epoch,),
                    "decay": 0.1,
                },
            },
            "optimiser": {
                **dataclasses.asdict(vqa.optimiser),
                "warmup": round(0.05 * 5 * epoch),
            },
        },
    )


def test_the_entailment_preset_has_the_settings_of_vqa():
    vqa = CLIP_VIL_P_VQA["clip-vil-p"]
    check(
        dataclasses.asdict(CLIP_VIL_P_ENTAILMENT["clip-vil-p"]),
        {
            "batch_size": 8,
            "iterations": 10_000,
            "clip_vil_p": {
                **dataclasses.asdict(vqa.clip_vil_p),
                "loss_scale": None,  # CrossEntropyLoss of snli.py
                "trunk_optimiser": {
                    "learning_rate": 0.001,
                    "weight_decay": 4e-4,
                    "milestones": (4000,),  # --schedule 2 of 5 epochs
                    "decay": 0.1,
                },
            },
            "optimiser": {
                "name": "adamw",
                "learning_rate": 5e-5,
                "epsilon": 1e-6,  # --adam_epsilon
                "weight_decay": 0.01,
                "schedule": "linear",
                "warmup": 500,
                "clip": "norm",
                "clip_at": 1.0,
            },
        },
    )


@pytest.mark.parametrize("presets", [CLIP_VIL_P_VQA, CLIP_VIL_P_GQA, CLIP_VIL_P_ENTAILMENT])
def test_presets_have_their_names_and_one_model(presets):
    for name, preset in presets.items():
        assert preset.preset == name
        assert preset.model == "clip-vil-p"
        assert preset.start_from is not None


def test_presets_of_pretraining_have_their_names():
    assert all(preset.preset == name for name, preset in PRETRAIN_PRESETS.items())
