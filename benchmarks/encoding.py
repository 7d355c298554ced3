"""Speed of CLIP's image towers on the CPU, compared with open_clip, ONNX Runtime and OpenVINO.

Weights are random, because times do not depend on them. Decoding and resizing of images is not
timed, normalisation is. ONNX Runtime and OpenVINO are measured if they are installed: pip install
"clipnav[bench]".

The last figures cover the extraction of a built-in house: rendering panoramas, cutting views, and
encoding them with the house CLIP.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import Any

# Waiting threads must not consume CPU time. OpenMP reads these variables once, when it is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

import numpy as np
import torch
import tyro
from measuring import BenchmarkConfig, Figure, rate, report

from clipnav.connectivity import read_connectivity
from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.extraction.view_sources import ViewSource
from clipnav.encoders.precision import Precision
from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas
from clipnav.envs.panoramas.views import rows_seen, views36
from clipnav.storage.processes import usable_cpus

UNIT = "images per CPU second"
_HOUSE = "house_00"
Work = Callable[[], np.ndarray]


@dataclass(frozen=True)
class EncodingConfig(BenchmarkConfig):
    """Measure the speed of pooled features for a batch of images."""

    models: tuple[str, ...] = ("ViT-B-32", "RN50")
    """Model names of open_clip."""
    batch_size: int = 36
    """Number of images in a batch; by default the views of a viewpoint."""
    threads: int = usable_cpus()
    """Number of threads of every engine."""
    rounds: int = 4
    """Number of rounds over all engines; the best round of each engine counts."""
    seconds: float = 8.0
    """CPU seconds of an engine in a round."""
    compiled: bool = False
    """Measure torch.compile too, which takes minutes to start."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(EncodingConfig)
    torch.set_num_threads(config.threads)
    figures: list[Figure] = []
    if config.quick:
        config = replace(config, batch_size=2, rounds=1, seconds=0.01)
        figures += _figures(config, "house_clip")
    else:
        for name in config.models:
            figures += _figures(config, name)
    figures += _house_figures(config)
    report("encoding", figures, config.json)


def _figures(config: EncodingConfig, name: str) -> list[Figure]:
    precisions: tuple[Precision, ...] = ("fp32", "medium", "bf16")
    encoders = {key: _load(name, key) for key in precisions}
    if config.compiled:
        encoders["bf16 compiled"] = _load(name, "bf16", compiled=True)
    encoders = dict(encoders)
    size = encoders["fp32"].image_size
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (config.batch_size, *size, 3)).astype(np.uint8)
    mean, std = (
        np.array(encoders["fp32"].preprocessing[key], np.float32) for key in ("mean", "std")
    )
    pixels = (
        torch.from_numpy((images / np.float32(255) - mean) / std).permute(0, 3, 1, 2).contiguous()
    )
    visual: Any = encoders["fp32"].model.visual
    works: dict[str, Work] = {
        "open_clip fp32": lambda: _eager(visual, pixels),
        **{key: lambda e=encoder: e.pooled(images) for key, encoder in encoders.items()},
    }
    if not config.quick:
        works |= _onnx_runtime(config, visual, pixels)
        works |= _openvino(config, visual, pixels)
    rates = dict.fromkeys(works, 0.0)
    for _ in range(config.rounds):
        for key, work in works.items():
            measured = rate(work, config.batch_size, config.seconds)
            rates[key] = max(rates[key], measured)
    reference = works["open_clip fp32"]()
    figures = []
    for key, work in works.items():
        figures.append(Figure(f"{name}: {key}", rates[key], UNIT))
        features = work()
        norms = np.linalg.norm(features, axis=1) * np.linalg.norm(reference, axis=1)
        cosine = float(((features * reference).sum(1) / norms).min())
        figures.append(Figure(f"{name}: {key}, smallest cosine", cosine, "", 0.999))
    return figures + _ratios(name, rates)


def _ratios(name: str, rates: dict[str, float]) -> list[Figure]:
    gain = rates["bf16"] / rates["open_clip fp32"]
    figures = [Figure(f"{name}: bf16 relative to open_clip fp32", gain, "times", 3.0)]
    if "OpenVINO bf16" in rates:
        share = rates["bf16"] / rates["OpenVINO bf16"]
        figures.append(Figure(f"{name}: bf16 relative to OpenVINO bf16", share, "times", 0.9))
        bound = rates["OpenVINO bf16"] / rates["open_clip fp32"]
        figures.append(Figure(f"{name}: OpenVINO bf16 relative to open_clip fp32", bound, "times"))
    return figures


def _house_figures(config: EncodingConfig) -> list[Figure]:
    """Measure the extraction of a house in this process, and its parts."""
    encoder = ClipEncoder.load("house_clip", device="cpu")
    width = 128 if config.quick else 1024
    size = encoder.image_size
    source = ViewSource("houses", "square", size, width)
    houses = HousePanoramas(width=width)
    viewpoints = cycle([record["image_id"] for record in read_connectivity(_HOUSE)])
    panorama = houses.panorama(_HOUSE, next(viewpoints)).rgb
    views = views36(panorama, size)
    rows = rows_seen(width, size)
    whole = rate(
        lambda: encoder.pooled(source.views(_HOUSE, next(viewpoints))), 1, 2 * config.seconds
    )
    parts: dict[str, Callable[[], object]] = {
        "rendering": lambda: houses.panorama(_HOUSE, next(viewpoints), rows),
        "cutting views": lambda: views36(panorama, size),
        f"encoding in {encoder.precision}": lambda: encoder.pooled(views),
    }
    name = f"whole extraction of {_HOUSE}"
    return [
        Figure(name, whole, "viewpoints per CPU second"),
        Figure(f"{name}, images", len(views) * whole, UNIT),
        *(
            Figure(f"{name}: {part}", 1000 / rate(work, 1, config.seconds), "CPU ms per viewpoint")
            for part, work in parts.items()
        ),
    ]


def _load(name: str, precision: Precision, compiled: bool = False) -> ClipEncoder:
    from clipnav.encoders.weights.loading import load_model

    torch.manual_seed(0)
    model, tokenizer, name = load_model(name, None)
    for key, weight in model.named_parameters():
        if key.endswith("bn3.weight") and not weight.any():
            # With the initial value 0 residual blocks would have no effect.
            torch.nn.init.ones_(weight)
    return ClipEncoder(model, tokenizer, name, precision, "cpu", compiled)


@torch.inference_mode()
def _eager(visual: Any, pixels: torch.Tensor) -> np.ndarray:
    return visual(pixels).numpy()


def _onnx_runtime(config: EncodingConfig, visual: Any, pixels: torch.Tensor) -> dict[str, Work]:
    if find_spec("onnxruntime") is None or find_spec("onnx") is None:
        return {}
    from tempfile import TemporaryDirectory

    import onnxruntime  # pyright: ignore[reportMissingImports]

    with TemporaryDirectory() as folder:
        path = Path(folder) / "tower.onnx"
        _export(lambda: torch.onnx.export(visual, (pixels,), path, dynamo=False))
        model = path.read_bytes()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = config.threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, ["CPUExecutionProvider"])
    inputs = {session.get_inputs()[0].name: pixels.numpy()}
    return {"ONNX Runtime fp32": lambda: np.asarray(session.run(None, inputs)[0])}


def _openvino(config: EncodingConfig, visual: Any, pixels: torch.Tensor) -> dict[str, Work]:
    if find_spec("openvino") is None:
        return {}
    import openvino  # pyright: ignore[reportMissingImports]

    model = _export(
        lambda: openvino.convert_model(visual, example_input=pixels, input=[pixels.shape])
    )
    works: dict[str, Work] = {}
    for hint, name in (("f32", "fp32"), ("bf16", "bf16")):
        options = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": config.threads}
        compiled = openvino.Core().compile_model(model, "CPU", options)
        works[f"OpenVINO {name}"] = lambda c=compiled: c(pixels.numpy())[0]
    return works


def _export(export: Callable[[], Any]) -> Any:
    """Export without nn.MultiheadAttention's fast path, which no exporter supports."""
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            return export()
    finally:
        torch.backends.mha.set_fastpath_enabled(True)


if __name__ == "__main__":
    main()
