"""Speed of drawing panoramas of the built-in houses, whose cost grows with their width."""

import os
import time
from dataclasses import dataclass

import tyro
from measuring import BenchmarkConfig, Figure, peak_memory, report


@dataclass(frozen=True)
class PanoramasConfig(BenchmarkConfig):
    """Measure the CPU time of a panorama, in one thread; houses are built before."""

    scans: tuple[str, ...] = ("house_00", "house_30")
    """Built-in houses."""
    viewpoints: int = 6
    """Number of viewpoints of each house, evenly spread over its graph."""
    widths: tuple[int, ...] = (1024, 2048, 4096)
    """Numbers of columns; a panorama has half as many rows."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(PanoramasConfig)
    os.environ["OMP_NUM_THREADS"] = "1"  # read by numpy, which is imported later
    widths = config.widths[:1] if config.quick else config.widths
    figures = [
        Figure(f"{width} x {width // 2}", _seconds(config, width), "CPU seconds")
        for width in widths
    ]
    figures.append(Figure("peak memory", peak_memory(), "MiB"))
    report("panoramas", figures, config.json)


def _seconds(config: PanoramasConfig, width: int) -> float:
    """Return the mean CPU seconds of a panorama."""
    from clipnav.connectivity import read_connectivity
    from clipnav.envs.houses.building.sets import set_of
    from clipnav.envs.houses.rendering.house_panoramas import HousePanoramas, print_to_stderr

    houses = HousePanoramas(width=width, announce=print_to_stderr)
    count = 1 if config.quick else config.viewpoints
    times = []
    for scan in config.scans[:1] if config.quick else config.scans:
        records = read_connectivity(scan, set_of(scan).connectivity_dir)
        houses.tracer(scan)  # which builds the house, or loads it
        for record in records[:: max(1, len(records) // count)][:count]:
            start = time.process_time()
            houses.panorama(scan, record["image_id"])
            times.append(time.process_time() - start)
    return sum(times) / len(times)


if __name__ == "__main__":
    main()
