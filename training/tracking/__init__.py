"""Trackers, which receive the figures of a run's log in addition to its file."""

from clipnav.training.tracking.trackers import Tracker, TrackerName, check_trackers, start_trackers

__all__ = ["Tracker", "TrackerName", "check_trackers", "start_trackers"]
