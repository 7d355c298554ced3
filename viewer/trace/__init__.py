"""Traces: what happened in an episode, step by step, one JSON file each."""

from clipnav.viewer.trace.format import (
    KnownMap,
    KnownNode,
    Outcome,
    Trace,
    TraceCandidate,
    TraceStep,
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
    "KnownMap",
    "KnownNode",
    "Outcome",
    "Trace",
    "TraceCandidate",
    "TraceStep",
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
