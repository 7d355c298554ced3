from pathlib import Path

import pytest
import torch
from torch import nn

from clipnav.encoders import precision
from clipnav.encoders.precision import choose_precision, fold_batch_norms, matmul_precision
from clipnav.encoders.weights.loading import load_model

CPU = torch.device("cpu")


@pytest.mark.parametrize(("bf16", "chosen"), [(True, "bf16"), (False, "medium")])
def test_auto_depends_on_the_cpu(monkeypatch: pytest.MonkeyPatch, bf16: bool, chosen: str):
    monkeypatch.setattr(precision, "multiplies_bf16", lambda device: bf16)
    assert choose_precision("auto", CPU) == chosen
    assert choose_precision("fp32", CPU) == "fp32"
    assert choose_precision("auto", torch.device("cuda")) == "fp16"


def test_unknown_precisions_are_refused():
    with pytest.raises(ValueError, match="'int8' is unknown; use auto, fp32, medium, bf16, fp16"):
        choose_precision("int8", CPU)


def test_matmul_precision_is_restored():
    def settings() -> tuple[str, bool]:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    before = settings()
    with matmul_precision("medium"):
        assert settings() == ("medium", True)
    assert settings() == before
    with matmul_precision("fp32"):
        assert settings() == ("highest", False)
    assert settings() == before


@torch.no_grad()
def test_folded_batch_norms_equal_the_original_up_to_rounding(tiny_resnet: Path):
    visual = load_model(str(tiny_resnet), None)[0].visual
    generator = torch.Generator().manual_seed(0)
    for module in visual.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor in (module.running_mean, module.weight, module.bias):
                assert tensor is not None
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
            assert module.running_var is not None
            module.running_var.copy_(
                0.5 + torch.rand(module.running_var.shape, generator=generator)
            )
    images = torch.randn(2, 3, 64, 64, generator=generator)
    expected = visual(images)
    fold_batch_norms(visual)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in visual.modules())
    torch.testing.assert_close(visual(images), expected, rtol=1e-4, atol=1e-4)
