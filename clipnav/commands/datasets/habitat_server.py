"""Check habitat-sim in its own Python, or compare it with the ray tracer of the built-in houses.

$ clipnav habitat-server --check --python habitat      # a conda environment
$ clipnav habitat-server --check --python ~/habitat-sim/.venv --gpu-device-id -1
$ clipnav habitat-server --compare

habitat-sim runs in a process of its own, under the Python that --python or CLIPNAV_HABITAT_PYTHON
names. --check imports it there and draws an empty scene; at the first step that fails, it prints
the reason and the remedy and exits with status 1. --compare draws the same views of two houses with
habitat-sim and with clipnav's ray tracer, and compares geodesic distances on the navigation mesh
with those on clipnav's floor.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clipnav.parsing import parse
from clipnav.storage.errors import UserError
from clipnav.storage.outputs import check_outputs
from clipnav.training.settings import check_counts, check_unused_options

if TYPE_CHECKING:
    from clipnav.envs.continuous.simulator import SimulatorComparison


@dataclass(frozen=True)
class HabitatServerArguments:
    """Check habitat-sim, or compare it with the ray tracer."""

    check: bool = False
    """Print what works and what is missing."""
    compare: bool = False
    """Compare views, depth and geodesic distances of built-in houses."""
    python: str | None = None
    """Python interpreter, folder of a virtual or conda environment, or name of a conda environment
    with habitat-sim; by default the value of CLIPNAV_HABITAT_PYTHON."""
    gpu_device_id: int | None = None
    """CUDA device that draws, or -1 for software rendering; by default 0 if there is one."""
    scans: tuple[str, ...] = ("house_26", "house_27")
    """Houses to compare; missing ones are built."""
    viewpoints: int = 8
    """Number of viewpoints of each house at which four views are compared."""
    pairs: int = 200
    """Number of pairs of viewpoints of each house whose distances are compared."""
    seed: int = 0
    """Random seed of the pairs."""
    json: Path | None = None
    """File for the results of --compare."""

    def __post_init__(self) -> None:
        if self.check == self.compare:
            raise UserError("give either --check or --compare")
        if self.viewpoints < 2 or self.pairs < 1:
            raise UserError("--viewpoints must be at least 2, and --pairs at least 1")
        check_counts(self, ("seed",), least=0)
        if self.check:
            names = ("scans", "viewpoints", "pairs", "seed", "json")
            check_unused_options(self, dict.fromkeys(names, "with --check"))
        check_outputs(self, {"json": (".json",)})


def main(arguments: Sequence[str]) -> int:
    """Parse the command line, check or compare, and return the exit status."""
    config = parse(HabitatServerArguments, __name__, __doc__, arguments)
    if config.check:
        from clipnav.envs.habitat.client import check_habitat

        is_ok = True
        for check in check_habitat(config.python, config.gpu_device_id):
            is_ok = is_ok and check.is_ok
            state = "ok" if check.is_ok else "MISSING"
            print(f"{check.name:<12} {state}: {check.text}", flush=True)
        return 0 if is_ok else 1
    results = [_compare(config, scan) for scan in config.scans]
    print(
        f"{'house':<12} {'views':>6} {'PSNR dB':>8} {'depth mm':>9} {'within 1 cm':>12} "
        f"{'one-sided':>10} {'pairs':>7} {'geodesic':>9} {'largest':>8} {'unreachable':>12}"
    )
    for one in results:
        print(
            f"{one.scan:<12} {one.views:>6} {one.psnr:>8.1f} {1000 * one.depth_error:>9.2f} "
            f"{one.depth_share:>12.1%} {one.sky_share:>10.2%} {one.pairs:>7} "
            f"{one.distance_error:>9.2%} {one.largest_distance_error:>8.2%} {one.unreachable:>12}"
        )
    if config.json is not None:
        from clipnav.storage import write_text

        # JSON has no NaN, which an error is if no pair is connected in both.
        rows = [
            {name: None if value != value else value for name, value in asdict(result).items()}
            for result in results
        ]
        write_text(config.json, json.dumps(rows, indent=2) + "\n")
    return 0


def _compare(config: HabitatServerArguments, scan: str) -> "SimulatorComparison":
    import numpy as np

    from clipnav.envs.continuous.environments.making import open_simulator
    from clipnav.envs.continuous.settings import R2R_CE
    from clipnav.envs.continuous.simulator import compare_simulators
    from clipnav.envs.graphs.nav_graph import NavGraph
    from clipnav.envs.houses.building.sets import set_of

    graph = NavGraph.load(scan, set_of(scan).connectivity_dir)
    feet = graph.positions - [0, 0, 1] * graph.heights[:, None]
    chosen = np.linspace(0, len(feet) - 1, min(config.viewpoints, len(feet))).round().astype(int)
    habitat = open_simulator(
        R2R_CE,
        backend="habitat",
        habitat_python=config.python,
        gpu_device_id=config.gpu_device_id,
    )
    houses = open_simulator(R2R_CE)
    return compare_simulators(scan, houses, habitat, feet[chosen], config.pairs, config.seed)
