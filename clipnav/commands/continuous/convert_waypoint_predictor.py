r"""Convert a released waypoint predictor to a run.

$ clipnav convert-waypoint-predictor --weights check_cwp_bestdist_hfov90 \
    --depth-weights gibson-2plus-resnet50.pth --output runs/cwp
$ clipnav convert-waypoint-predictor --weights check_cwp_bestdist_hfov90 \
    --depth-weights gibson-2plus-resnet50.pth --rgb-weights resnet50-0676ba61.pth --output runs/cwp

Checkpoints of Hong et al. read depth and colour, those of ETPNav depth only. No code from a file is
run. Every weight must fit; the message names one that does not. clipnav evaluate-waypoint-agent
uses the run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from clipnav.parsing import parse
from clipnav.training.settings import check_counts


@dataclass(frozen=True)
class ConvertPredictorConfig:
    """Checkpoint, and the networks for pictures with which it was trained."""

    weights: Path
    """Checkpoint of the predictor (check_cwp_bestdist_hfov90)."""
    depth_weights: Path
    """Checkpoint of DD-PPO with the depth network (gibson-2plus-resnet50.pth)."""
    output: Path
    """Folder to write; clipnav evaluate-waypoint-agent uses it with --predictor OUTPUT."""
    rgb_weights: Path | None = None
    """torchvision's ResNet-50 of ImageNet, for a predictor that reads colour."""
    heads: int = 12
    """Number of attention heads, which the weights do not determine."""

    def __post_init__(self) -> None:
        check_counts(self, ("heads",))


def main(arguments: Sequence[str]) -> None:
    """Parse the command line and convert."""
    config = parse(ConvertPredictorConfig, __name__, __doc__, arguments)
    # Imported here so that --help answers without loading torch.
    from clipnav.agents.waypoints.predictor_conversion import convert_predictor_run

    convert_predictor_run(
        config.weights, config.depth_weights, config.rgb_weights, config.output, config.heads
    )
    print(f"{config.output}: written; use it with clipnav evaluate-waypoint-agent --predictor")
