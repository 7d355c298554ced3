"""Every preset gives the settings in presets.json, value by value.

The entry "" of a task has its settings without a preset, the others what differs from them.
`python -m tests.vl_tasks.test_presets` writes the file again, for a new preset; compare its changes
with the paper.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest

from clipnav.training.optimisers import learning_rate
from clipnav.training.settings import CONFIG, flattened, to_json
from clipnav.vl_tasks.captioning.settings import CaptionConfig, caption_defaults
from clipnav.vl_tasks.clip_vil_p.settings import PretrainVlConfig, pretraining_defaults
from clipnav.vl_tasks.entailment.settings import EntailmentConfig, entailment_defaults
from clipnav.vl_tasks.gqa.settings import GqaConfig, gqa_defaults
from clipnav.vl_tasks.reliability.settings import Method, SelectorConfig, selector_defaults
from clipnav.vl_tasks.vqa.settings import VqaConfig, vqa_defaults

GOLDEN = Path(__file__).with_name("presets.json")
TASKS: dict[str, tuple[Any, Any]] = {
    "vqa": (VqaConfig, vqa_defaults),
    "gqa": (GqaConfig, gqa_defaults),
    "snli-ve": (EntailmentConfig, entailment_defaults),
    "captions": (CaptionConfig, caption_defaults),
    "captions-scst": (CaptionConfig, caption_defaults),
    "pretrain-vl": (PretrainVlConfig, pretraining_defaults),
}


def presets(task: str, folder: Path) -> Iterator[tuple[str, Any]]:
    """Yield names and settings of the presets; the folder is the start of self-critical ones."""
    if task == "selector":
        for method in get_args(Method):
            yield method, selector_defaults(method)
        return
    kind, defaults = TASKS[task]
    for name in kind.PRESETS:
        flags = {"preset": name}
        if task == "captions-scst":
            (folder / CONFIG).write_text(to_json(caption_defaults(flags.get)))
            flags = {"start-from": str(folder)}
        yield name, defaults(flags.get)


def recorded(task: str, folder: Path) -> dict[str, dict[str, Any]]:
    kind = SelectorConfig if task == "selector" else TASKS[task][0]
    base = flattened(json.loads(to_json(kind())))
    found = {"": base}
    for name, config in presets(task, folder):
        values = flattened(json.loads(to_json(config)))
        if values.get("start_from") == str(folder):
            values["start_from"] = "xe"
        found[name] = {key: value for key, value in values.items() if value != base[key]}
    return found


@pytest.mark.parametrize("task", [*TASKS, "selector"])
def test_presets_have_the_recorded_settings(task, tmp_path):
    golden = json.loads(GOLDEN.read_text())[task]
    found = recorded(task, tmp_path)
    assert found.keys() == golden.keys()
    for name, settings in golden.items():
        assert found[name] == settings, name


@pytest.mark.parametrize(
    ("defaults", "records", "epochs"), [(vqa_defaults, 443_757, 3), (gqa_defaults, 943_000, 2)]
)
def test_openvqa_presets_warm_up_as_warmup_optimizer(defaults, records, epochs):
    """Compares with `WarmupOptimizer.rate` (openvqa/utils/optim.py), which always has quarters."""
    optimiser = defaults({"preset": "mcan-small"}.get).optimiser
    ends = [int(records / 64 * (epochs + 1) * share) for share in (0.25, 0.5, 0.75)]
    for step in {1, *(end + shift for end in ends for shift in (0, 1))}:
        stair = next((k for k, end in enumerate(ends, 1) if step <= end), epochs + 1)
        rate = learning_rate(optimiser, step - 1, 0.0)
        assert rate == pytest.approx(1e-4 * stair / (epochs + 1)), step


if __name__ == "__main__":
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        found = {task: recorded(task, Path(folder)) for task in [*TASKS, "selector"]}
    rows = {
        task: ",\n".join(f"  {json.dumps(name)}: {json.dumps(one)}" for name, one in values.items())
        for task, values in found.items()
    }
    text = ",\n".join(f"{json.dumps(task)}: {{\n{one}\n}}" for task, one in rows.items())
    GOLDEN.write_text(f"{{\n{text}\n}}\n")
