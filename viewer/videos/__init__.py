"""Videos of walks: view, attention, map, candidates and figures at each step, and the outcome."""

from clipnav.viewer.videos.layout import arranged, parse_size
from clipnav.viewer.videos.rendering import VideoSettings, write_video
from clipnav.viewer.videos.writing import check_kind

__all__ = ["VideoSettings", "arranged", "check_kind", "parse_size", "write_video"]
