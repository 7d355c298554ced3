import pytest

from envs.pictures.panorama_files import DrawnPictures
from envs.worlds import world_files
from viewer.films.frames import Frames
from viewer.films.layout import arranged
from viewer.films.panoramas import Panoramas
from viewer.films.timeline import Walk
from viewer.scene.scenes import scene
from viewer.site.library import Library


@pytest.fixture
def library(tiny_world):
    return Library(world_files("matterport", tiny_world), "r2r")


@pytest.fixture
def pictures(tmp_path, grey):
    return DrawnPictures(grey, lambda scan: tmp_path / "pictures" / scan)


@pytest.fixture
def frames_of(library, pictures):
    """Makes the frames of traces."""

    def make(traces, size=(1280, 720), pictures=pictures):
        graph = library.graph(traces[0].scan)
        walks = [Walk(trace, graph) for trace in traces]
        panoramas = Panoramas(pictures, graph)
        return Frames(
            walks, arranged(size, len(walks)), panoramas, scene(graph, library.files.world)
        )

    return make
