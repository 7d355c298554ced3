import dataclasses

import pytest
import torch

from clipnav.vl_tasks.grids.sources import uncached_source
from clipnav.vl_tasks.training import prepare
from tests.vl_tasks.small_networks import preset


@pytest.mark.parametrize(
    ("device", "problem"), [("gpu", "does not know"), ("cuda:1", "detects 1 CUDA")]
)
def test_errors_name_a_missing_device(device, problem, run_command, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    config = dataclasses.replace(preset("vqa", "houses"), device=device)
    blind = dataclasses.replace(config, vision=False)
    pictures = ("--images", tmp_path, "--device", device)
    for attempt in (
        lambda: prepare(config),
        lambda: uncached_source(config, {}, device),
        lambda: uncached_source(blind, {}, device),
        lambda: run_command("extract-image-features", *pictures),
    ):
        with pytest.raises(ValueError, match=rf"--device {device}: torch .*{problem}.*cpu"):
            attempt()
