"""Speed of the MatterSim replacement: start-up, turns and moves, without rendering.

For comparison, the C++ simulator with its Python bindings on two cores of an AMD EPYC: 172,000
turns per CPU second with one agent, 200,000 with 64 agents, 137,000 with 64 agents and all fields
of the states read; 0.6 to 0.8 s to load the 90 graphs of Matterport3D.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro
from measuring import BenchmarkConfig, Figure, peak_memory, rate, report

from clipnav.connectivity import CONNECTIVITY_DIR, read_scans
from clipnav.envs import mattersim
from clipnav.envs.graphs.nav_graph import NavGraph

STEPS = 256
UNIT = "environment steps per CPU second"


@dataclass(frozen=True)
class SimulatorConfig(BenchmarkConfig):
    """Measure the speed of the replacement for the Matterport3D Simulator."""

    connectivity_dir: Path = CONNECTIVITY_DIR
    """Folder of the navigation graphs."""
    batch_size: int = 64
    """Number of agents in the larger batch."""
    seconds: float = 4.0
    """CPU seconds per figure."""
    seed: int = 0
    """Random seed for actions."""


def main() -> None:
    """Parse the command line, measure and report."""
    config = tyro.cli(SimulatorConfig)
    scans = read_scans(config.connectivity_dir)
    scans = scans[:2] if config.quick else scans
    # Measured first, before any graph is loaded.
    figures = _start_up_figures(config, scans)
    figures += _turn_figures(config, scans)
    figures += _sweep_figures(config, scans)
    report("simulator", figures, config.json)


def _simulator(config: SimulatorConfig, batch_size: int, discretized: bool) -> mattersim.Simulator:
    simulator = mattersim.Simulator()
    simulator.setNavGraphPath(str(config.connectivity_dir))
    simulator.setRenderingEnabled(False)
    simulator.setDiscretizedViewingAngles(discretized)
    simulator.setCameraResolution(640, 480)
    simulator.setCameraVFOV(math.radians(60))
    simulator.setBatchSize(batch_size)
    simulator.initialize()
    return simulator


def _start_up_figures(config: SimulatorConfig, scans: list[str]) -> list[Figure]:
    before, began = peak_memory(), time.process_time()
    simulator = _simulator(config, 1, discretized=True)
    simulator.newRandomEpisode(scans[:1])
    first = time.process_time() - began
    for scan in scans[1:]:
        simulator.newRandomEpisode([scan])
    return [
        Figure("first episode", 1000 * first, "CPU ms"),
        Figure(
            f"an episode in each of {len(scans)} scans", time.process_time() - began, "CPU seconds"
        ),
        Figure(f"memory of {len(scans)} graphs", peak_memory() - before, "MiB"),
    ]


def _turn_figures(config: SimulatorConfig, scans: list[str]) -> list[Figure]:
    seconds = 0.05 if config.quick else config.seconds
    figures = []
    for discretized, angles in ((True, "discretised"), (False, "continuous")):
        for size in (1, config.batch_size):
            simulator = _simulator(config, size, discretized)
            simulator.newRandomEpisode([scans[i % len(scans)] for i in range(size)])
            works = {
                "turning": (_turning(config, simulator, size), 100_000 if size == 1 else 150_000),
                "turning, all fields read": (_turning(config, simulator, size, _read), None),
                "moving, all fields read": (_walking(config, simulator, size), None),
            }
            for name, (work, bar) in works.items():
                steps = rate(work, STEPS * size, seconds)
                figures.append(Figure(f"{name}, {angles}, batch {size}", steps, UNIT, bar))
    simulator = mattersim.v01.Simulator()
    simulator.setNavGraphPath(str(config.connectivity_dir))
    simulator.setRenderingEnabled(False)
    simulator.setDiscretizedViewingAngles(True)
    simulator.newEpisode(scans[0], "", 0.0, 0.0)

    def work() -> None:
        for _ in range(STEPS):
            simulator.makeAction(0, 1.0, 0.0)
            simulator.getState()

    figures.append(Figure("turning and getState, version 0.1", rate(work, STEPS, seconds), UNIT))
    return figures


def _turning(
    config: SimulatorConfig,
    simulator: mattersim.Simulator,
    size: int,
    read: Callable[[mattersim.SimState], object] | None = None,
) -> Callable[[], None]:
    """Return a function that turns all agents at random, and reads each state if requested."""
    rng = np.random.default_rng(config.seed)
    turns = rng.uniform(-0.5, 0.5, (STEPS, 2, size)).tolist()
    stay = [0] * size

    def work() -> None:
        for headings, elevations in turns:
            simulator.makeAction(stay, headings, elevations)
            if read is not None:
                for state in simulator.getState():
                    read(state)

    return work


def _walking(
    config: SimulatorConfig, simulator: mattersim.Simulator, size: int
) -> Callable[[], None]:
    """Return a function that moves each agent to the location nearest to its image centre."""
    rng = np.random.default_rng(config.seed)
    turns = rng.uniform(-0.5, 0.5, (STEPS, 2, size)).tolist()

    def work() -> None:
        for headings, elevations in turns:
            indices = [int(_read(state) > 1) for state in simulator.getState()]
            simulator.makeAction(indices, headings, elevations)

    return work


def _sweep_figures(config: SimulatorConfig, scans: list[str]) -> list[Figure]:
    """Measure the first sweep over all views of all viewpoints, and its memory."""
    simulator = _simulator(config, 1, discretized=True)
    (state,) = simulator.getState()
    viewpoints = [
        (scan, viewpoint)
        for scan in scans
        for viewpoint in NavGraph.load(scan, config.connectivity_dir).viewpoint_ids
    ]
    before, began = peak_memory(), time.process_time()
    for scan, viewpoint in viewpoints:
        simulator.newEpisode([scan], [viewpoint], [0.0], [-0.5])
        for view in range(36):
            _read(state)
            simulator.makeAction([0], [1.0], [float(view % 12 == 11)])
    spent = time.process_time() - began
    count = len(viewpoints)
    return [
        Figure("first sweep over 36 views", 36 * count / spent, "views per CPU second"),
        Figure(f"memory of all views of {count} viewpoints", peak_memory() - before, "MiB"),
        Figure("peak memory of the process", peak_memory(), "MiB"),
    ]


def _read(state: mattersim.SimState) -> int:
    """Read every field except images; return the number of navigable locations."""
    _ = state.scanId, state.step, state.location, state.heading, state.elevation, state.viewIndex
    locations = state.navigableLocations
    for location in locations:
        _ = location.viewpointId, location.ix, location.x, location.y, location.z
        _ = location.rel_heading, location.rel_elevation, location.rel_distance
    return len(locations)


if __name__ == "__main__":
    main()
