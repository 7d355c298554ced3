"""A tiny data set in LXMERT's form, and settings of a tiny pre-training on it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw

from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.vl_tasks.clip_vil_p.settings import PretrainVlConfig
from clipnav.vl_tasks.settings.networks import TextConfig, TrunkConfig, TrunkOptimiserConfig

COLOURS = {"red": (200, 30, 30), "green": (30, 160, 60), "blue": (40, 60, 210)}
SHAPES = ("circle", "square")


@pytest.fixture(autouse=True)
def exact_products():
    """Exact matrix products, which trainings with other precisions switch off."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    yield
    torch.set_float32_matmul_precision(before)


@pytest.fixture(scope="session")
def pair_folder(tmp_path_factory) -> Path:
    """Folder with shapes_train.json and shapes_val.json in LXMERT's form, and their images."""
    return write_pair_folder(tmp_path_factory.mktemp("pairs"), {"train": 48, "val": 12})


def write_pair_folder(folder: Path, counts: dict[str, int]) -> Path:
    rng = np.random.default_rng(5)
    (folder / "images").mkdir(parents=True)
    number = 0
    for split, count in counts.items():
        records = []
        for k in range(count):
            number += 1
            colour, shape = list(COLOURS)[k % 3], SHAPES[k // 3 % 2]
            size = (48, 72) if k % 4 == 3 else (72, 48)
            draw_shape(size, colour, shape, rng).save(folder / "images" / f"shape_{number}.png")
            records.append(lxmert_record(f"shape_{number}", colour, shape))
        (folder / f"shapes_{split}.json").write_text(json.dumps(records))
    return folder


def draw_shape(size, colour, shape, rng):
    image = Image.new("RGB", size, (225, 225, 225))
    x, y = rng.integers(4, 14, 2).tolist()
    paint = ImageDraw.Draw(image)
    draw = paint.ellipse if shape == "circle" else paint.rectangle
    draw((x, y, x + 30, y + 30), fill=COLOURS[colour])
    return image


def lxmert_record(name, colour, shape):
    return {
        "img_id": name,
        "sentf": {
            "mscoco": [f"a {colour} {shape}", f"one {shape} that is {colour}"],
            "vqa": ["what colour is it?", "what shape is it?"],
        },
        "labelf": {"vqa": [{f"{colour}.": 1.0, "dark": 0.3}, {f"a {shape}": 1.0}]},
    }


@pytest.fixture
def tiny(pair_folder, tmp_path) -> PretrainVlConfig:
    """Settings of a pre-training that takes seconds."""
    return tiny_config(pair_folder, tmp_path / "run")


def tiny_config(folder: Path, output: Path) -> PretrainVlConfig:
    return PretrainVlConfig(
        data=str(folder),
        text=TextConfig(
            vocabulary_size=120, hidden_size=32, layers=1, heads=2, feed_forward_size=48
        ),
        trunk=TrunkConfig(positions=3),
        image_size=(64, 96),
        cells=4,
        max_words=12,
        min_count=2,
        optimiser=OptimiserConfig(
            "adamw", 1e-3, weight_decay=0.01, schedule="linear", warmup=2, clip="norm", clip_at=1.0
        ),
        trunk_optimiser=TrunkOptimiserConfig(0.01, milestones=(3,)),
        iterations=6,
        batch_size=8,
        accumulate=2,
        evaluate_every=3,
        workers=0,
        threads=1,
        output=output,
    )
