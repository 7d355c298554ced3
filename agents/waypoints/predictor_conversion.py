"""Released weights of waypoint predictors and of DD-PPO's depth network, and runs made of them."""

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from clipnav.agents.transformer.released import Renaming, load_strictly, renamed
from clipnav.agents.waypoints.predictor import ColourNetwork, DdppoDepthNetwork, WaypointPredictor
from clipnav.agents.waypoints.settings import PredictorConfig, PredictorNetworkConfig
from clipnav.encoders.weights.weight_files import read_weights
from clipnav.storage import write_text
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_new
from clipnav.training.checkpoints import save_model
from clipnav.training.settings import CONFIG, to_json

# The prefix is what `renamed` expects before the names of layers.
_PREFIX = "map."
_PARTS: tuple[Renaming, ...] = (
    (r"^waypoint_TRM\.bert\.encoder\.layer\.", f"{_PREFIX}layers."),
    (r"^visual_fc_(rgb|depth)\.1\.", rf"{_PREFIX}\1."),
    (r"^visual_merge\.0\.", f"{_PREFIX}merge."),
    (r"^vis_classifier\.0\.", f"{_PREFIX}inner."),
    (r"^vis_classifier\.2\.", f"{_PREFIX}outer."),
)
# Weights that a predictor without colour has but does not use.
_UNUSED = ("mergefeats_LayerNorm.", "merge.")


def convert_predictor(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of `BinaryDistPredictor_TRM` to those of `HeatMapNetwork`."""
    found = renamed(weights, _PARTS, "")
    converted = {name.removeprefix(_PREFIX): one for name, one in found.items()}
    if "rgb.weight" in converted:
        return converted
    return {name: one for name, one in converted.items() if not name.startswith(_UNUSED)}


def _read_ddppo(path: Path) -> dict[str, Tensor]:
    """Read the weights of the depth network from a checkpoint of DD-PPO."""
    weights, _ = read_weights(path)
    part = "visual_encoder."
    found = {n.partition(part)[2]: one for n, one in weights.items() if part in n}
    if not found:
        raise UserError(f"{path}: has no weights of a visual_encoder; give a checkpoint of DD-PPO")
    return found


def load_ddppo(network: DdppoDepthNetwork, path: Path) -> None:
    """Load a checkpoint of DD-PPO into its depth network."""
    load_strictly(network, _read_ddppo(path), str(path))


def _load_resnet(network: ColourNetwork, path: Path) -> None:
    """Load torchvision's weights of ResNet-50; old files lack the counters of batch norms."""
    weights, _ = read_weights(path)
    used = {name: one for name, one in weights.items() if not name.startswith("fc.")}
    counters = {n: one for n, one in network.state_dict().items() if n.endswith("_tracked")}
    load_strictly(network, counters | used, str(path))


def convert_predictor_run(
    weights: Path, depth_weights: Path, rgb_weights: Path | None, output: Path, heads: int
) -> None:
    """Write a released predictor as a run.

    Args:
        rgb_weights: torchvision's weights of ResNet-50, for a predictor that reads colour.
    """
    check_new(output)
    released, _ = read_weights(weights, entries=("predictor", "state_dict"))
    converted = convert_predictor(released)
    first = converted.get("layers.0.feed_forward.inner.weight")
    if first is None:
        raise UserError(f"{weights}: has no transformer layers; give a checkpoint of a predictor")
    feed_forward, width = first.shape
    if width % heads:
        raise UserError(f"--heads {heads}: must divide the width {width} of {weights}")
    layers = {name.split(".")[1] for name in converted if name.startswith("layers.")}
    config = PredictorConfig(
        output=output,
        depth_weights=depth_weights,
        suppression="published",
        rgb="rgb.weight" in converted,
        network=PredictorNetworkConfig(
            hidden_size=width,
            heads=heads,
            feed_forward_size=feed_forward,
            layers=len(layers),
            dropout=0.3,
        ),
    )
    if config.rgb != (rgb_weights is not None):
        problem = "reads colour; give" if config.rgb else "reads no colour; omit"
        raise UserError(f"{weights}: {problem} --rgb-weights")
    predictor = WaypointPredictor(config)
    load_strictly(predictor.heat_map, converted, str(weights))
    assert isinstance(predictor.depth_network, DdppoDepthNetwork)
    load_ddppo(predictor.depth_network, depth_weights)
    if predictor.colour_network is not None and rgb_weights is not None:
        _load_resnet(predictor.colour_network, rgb_weights)
    output.mkdir(parents=True, exist_ok=True)
    save_model(output, predictor, {"converted from": weights.name})
    write_text(output / CONFIG, to_json(config))
