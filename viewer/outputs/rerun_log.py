"""Logs of traces for the rerun viewer (rerun.io): pictures, map and curves on one timeline."""

from pathlib import Path
from types import ModuleType

import numpy as np

from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.pictures.panorama_files import WIDTHS, NoPictureError, Pictures
from clipnav.storage import atomic_write
from clipnav.storage.errors import UserError
from clipnav.storage.extras import import_extra
from clipnav.viewer.site.library import Library
from clipnav.viewer.trace import Trace, TraceStep

_WAY, _WALKED, _EDGE = (0, 128, 94), (0, 114, 178), (181, 188, 199)


def log_trace(path: Path, trace: Trace, library: Library, pictures: Pictures) -> None:
    """Write a walk as a .rrd file, to be opened with `rerun FILE`."""
    if trace.is_continuous:
        raise UserError(
            f"{path}: {trace.agent} walks continuously, but logs contain walks on graphs only; "
            "write a video with --video, or a page with --export"
        )
    rerun = import_extra("rerun", "rerun", f"{path}: writing a rerun log")
    graph = library.graph(trace.scan)
    with atomic_write(path) as beside:
        log = rerun.RecordingStream("clipnav")
        log.save(str(beside))
        log.log("instruction", rerun.TextDocument(trace.instruction), static=True)
        edges = [graph.positions[[i, j]] for i, j in np.argwhere(np.triu(graph.adjacency))]
        log.log("map/edges", rerun.LineStrips3D(edges, colors=_EDGE, radii=0.01), static=True)
        log.log("map/viewpoints", rerun.Points3D(graph.positions, colors=_EDGE), static=True)
        if trace.has_goal:
            way = _places(graph, trace.path)
            log.log(
                "map/reference", rerun.LineStrips3D([way], colors=_WAY, radii=0.06), static=True
            )
        for number, step in enumerate(trace.steps):
            log.set_time("step", sequence=number)
            _log_step(rerun, log, graph, trace, number)
            _log_picture(rerun, log, trace.scan, step, pictures)
        log.flush()
        log.disconnect()


def _log_step(rerun: ModuleType, log, graph: NavGraph, trace: Trace, number: int) -> None:
    step = trace.steps[number]
    walked = _places(graph, trace.walked[: number + 1])
    log.log("map/walked", rerun.LineStrips3D([walked], colors=_WALKED, radii=0.04))
    log.log("map/agent", rerun.Points3D(walked[-1:], colors=_WALKED, radii=0.2))
    figures = {
        "stop probability": step.stop_probability,
        "value": step.value,
        "distance to goal": step.distance_to_goal,
        **step.metrics,
    }
    for name, figure in figures.items():
        if figure is not None:
            log.log(f"curves/{name.replace(' ', '_')}", rerun.Scalars(figure))
    chances = [c.probability for c in step.candidates if c.probability is not None]
    if chances:
        log.log("probabilities", rerun.BarChart(np.array([step.stop_probability or 0, *chances])))
    if step.word_attention:
        weights = (step.word_attention or ())[1:-1]
        order = sorted(zip(weights, trace.words, strict=True), reverse=True)[:8]
        log.log(
            "attention",
            rerun.TextDocument(", ".join(f"{word.strip()} {weight:.2f}" for weight, word in order)),
        )


def _log_picture(rerun: ModuleType, log, scan: str, step: TraceStep, pictures: Pictures) -> None:
    try:
        data = pictures.jpeg(scan, step.viewpoint, WIDTHS[0])
    except NoPictureError:
        return
    log.log("panorama", rerun.EncodedImage(contents=data, media_type="image/jpeg"))


def _places(graph: NavGraph, path: tuple[str, ...]) -> np.ndarray:
    return graph.positions[[graph.index(viewpoint) for viewpoint in path]]
