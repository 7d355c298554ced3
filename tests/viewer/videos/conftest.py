import pytest

from clipnav.envs.drawing.scenes import scene
from clipnav.viewer.videos.layout import arranged
from clipnav.viewer.videos.panoramas import Panoramas
from clipnav.viewer.videos.rendering import Frames
from clipnav.viewer.videos.timeline import VideoWalk


@pytest.fixture
def frames_of(library, pictures):
    """Makes the frames of traces."""

    def make(traces, size=(1280, 720), pictures=pictures):
        graph = library.graph(traces[0].scan)
        walks = [VideoWalk(trace, graph) for trace in traces]
        panoramas = Panoramas(pictures, graph)
        return Frames(
            walks, arranged(size, len(walks)), panoramas, scene(graph, library.files.world)
        )

    return make
