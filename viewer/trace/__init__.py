"""Traces: what happened in an episode, step by step, one JSON file each."""

from clipnav.viewer.trace.format import (
    Candidate,
    KnownMap,
    KnownNode,
    Outcome,
    Step,
    Trace,
    outcome,
    read_traces,
    trace_json,
    write_trace,
)
from clipnav.viewer.trace.recording import (
    agent_folder,
    record,
    record_all,
    trace_of_path,
    traces_of_submission,
)

__all__ = [
    "Candidate",
    "KnownMap",
    "KnownNode",
    "Outcome",
    "Step",
    "Trace",
    "agent_folder",
    "outcome",
    "read_traces",
    "record",
    "record_all",
    "trace_json",
    "trace_of_path",
    "traces_of_submission",
    "write_trace",
]
