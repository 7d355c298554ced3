"""The two optimisers of CLIP-ViL_p, stepped together: one for the transformer, one for the trunk.

CLIP-ViL-Pretrain/src/pretrain/lxmert_pretrain.py (`FusedOptimizer`).
"""

from typing import Any

import torch
from torch import nn

from clipnav.encoders.precision import multiplies_bf16
from clipnav.training.optimiser_settings import OptimiserConfig
from clipnav.training.optimisers import make_group_optimiser
from clipnav.vl_tasks.settings.networks import Precision, TrunkOptimiserConfig

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}
_FIRST_SCALE, _GROWTH_INTERVAL = 2.0**16, 2000  # as torch.amp.GradScaler
_LARGEST_SCALE = 2.0**24


class JointOptimiser:
    """Optimiser of all weights; the training loop sets the learning rates of `param_groups`.

    The trunk has its own learning rate, see `set_trunk_rate`. Biases and weights of norms have no
    weight decay in the transformer; AdamW exempts biases in the trunk, too, and has the epsilon of
    the transformer, as in CLIP-ViL-Pretrain/src/tasks/gqa.py (`use_adam_for_visual`).
    """

    def __init__(
        self,
        network: nn.Module,
        trunk: nn.Module,
        config: OptimiserConfig,
        trunk_config: TrunkOptimiserConfig,
        precision: Precision,
    ) -> None:
        in_trunk = set(trunk.parameters())
        weights = [weight for weight in network.parameters() if weight not in in_trunk]
        groups: list[dict[str, Any]] = [
            {"params": [weight for weight in weights if weight.ndim > 1]},
            {"params": [weight for weight in weights if weight.ndim < 2], "weight_decay": 0.0},
        ]
        self._main = make_group_optimiser(groups, config)
        self._trunk = _trunk_optimiser(trunk, trunk_config, config.epsilon)
        self._config, self._trunk_config = config, trunk_config
        self._network, self._is_scaled = network, precision == "fp16"
        self.scale = LossScale()

    @property
    def loss_scale(self) -> float:
        """Factor that a loss is multiplied by before its gradient is computed."""
        return self.scale.factor if self._is_scaled else 1.0

    def unscale(self) -> dict[str, float]:
        """Divide all gradients by the factor, and return it and a skipped update, to log."""
        if not self._is_scaled:
            return {}
        factor = self.scale.factor
        finite = self.scale.unscale(self._network)
        return {"loss_scale": factor, "skipped": float(not finite)}

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups whose learning rates the training loop sets: those of the transformer."""
        return self._main.param_groups

    @property
    def trunk_rate(self) -> float:
        """Learning rate of the trunk."""
        return self._trunk.param_groups[0]["lr"]

    def set_trunk_rate(self, iteration: int) -> None:
        """Set the learning rate of SGD for an iteration (from 0); `step` sets that of AdamW."""
        config = self._trunk_config
        if config.name == "adamw":
            return
        passed = sum(iteration >= milestone for milestone in config.milestones)
        for group in self._trunk.param_groups:
            group["lr"] = config.learning_rate * config.decay**passed

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Delete all gradients."""
        self._main.zero_grad(set_to_none)
        self._trunk.zero_grad(set_to_none)

    def step(self) -> None:
        """Update all weights that have gradients."""
        if self._trunk_config.name == "adamw":
            factor = self.param_groups[0]["lr"] / self._config.learning_rate
            for group in self._trunk.param_groups:
                group["lr"] = self._trunk_config.learning_rate * factor
        self._main.step()
        self._trunk.step()

    def state_dict(self) -> dict[str, Any]:
        """Return the state that is required to resume."""
        return {
            "main": self._main.state_dict(),
            "trunk": self._trunk.state_dict(),
            "scale": self.scale.state_dict(),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the result of `state_dict`."""
        self._main.load_state_dict(state_dict["main"])
        self._trunk.load_state_dict(state_dict["trunk"])
        self.scale.load_state_dict(state_dict["scale"])


def _trunk_optimiser(
    trunk: nn.Module, config: TrunkOptimiserConfig, epsilon: float
) -> torch.optim.Optimizer:
    """Build the optimiser of the trunk."""
    rate, decay = config.learning_rate, config.weight_decay
    if config.name == "sgd":
        return torch.optim.SGD(trunk.parameters(), rate, weight_decay=decay, foreach=True)
    weights = dict(trunk.named_parameters())
    biases = [weight for name, weight in weights.items() if name.endswith("bias")]
    others = [weight for name, weight in weights.items() if not name.endswith("bias")]
    groups = [{"params": others}, {"params": biases, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, rate, eps=epsilon, weight_decay=decay, fused=True)


class LossScale:
    """Factor of the loss that keeps float16 gradients in range, as `torch.amp.GradScaler`.

    After a gradient that is not finite, the update is skipped and the factor halved; after 2,000
    finite ones in a row, it is doubled.
    """

    def __init__(self) -> None:
        self.factor, self._finite = _FIRST_SCALE, 0

    def unscale(self, network: nn.Module) -> bool:
        """Divide all gradients by the factor and adapt it."""
        gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
        for gradient in gradients:
            gradient.mul_(1 / self.factor)
        if bool(torch.stack([gradient.isfinite().all() for gradient in gradients]).all()):
            self._finite += 1
            if self._finite % _GROWTH_INTERVAL == 0:
                self.factor = min(2 * self.factor, _LARGEST_SCALE)
            return True
        self.factor, self._finite = self.factor / 2, 0
        for weight in network.parameters():
            weight.grad = None
        return False

    def state_dict(self) -> dict[str, float]:
        """Return the factor and the number of finite gradients in a row."""
        return {"factor": self.factor, "finite": self._finite}

    def load_state_dict(self, state: dict[str, float]) -> None:
        """Restore the result of `state_dict`."""
        self.factor, self._finite = state["factor"], int(state["finite"])


def autocast(precision: Precision, device: str) -> torch.autocast:
    """Return the autocast context of a precision; fp32 and medium use none."""
    used = torch.device(device)
    if precision == "auto":
        precision = "bf16" if multiplies_bf16(used) else "medium"
    dtype = _AUTOCAST.get(precision, torch.bfloat16)
    return torch.autocast(used.type, dtype, enabled=precision in _AUTOCAST)


def set_matmul_precision(precision: Precision) -> None:
    """Make matrix products exact for fp32; other precisions keep the setting of `prepare`."""
    if precision == "fp32":
        torch.set_float32_matmul_precision("highest")
