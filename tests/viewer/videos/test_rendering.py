import msgspec
import numpy as np
import pytest
from PIL import Image

from clipnav.envs.drawing.canvas import AGENTS
from clipnav.envs.pictures.panorama_files import NoPictures
from clipnav.viewer.videos import VideoSettings, write_video
from clipnav.viewer.videos.layout import arranged
from clipnav.viewer.videos.timeline import VideoWalk, phases
from clipnav.viewer.videos.view_panel import COLOURS

SMALL = VideoSettings((480, 360))


@pytest.fixture
def video(library, pictures, tmp_path):
    def make(traces, settings=SMALL, name="walk.gif"):
        path = tmp_path / name
        write_video(path, traces, library, pictures, settings)
        return path

    return make


def seconds(trace, library):
    return sum(part.seconds for part in phases([VideoWalk(trace, library.graph(trace.scan))]))


def gif_frames(path):
    with Image.open(path) as video:
        durations, frames = [], []
        for number in range(video.n_frames):
            video.seek(number)
            durations.append(video.info["duration"])
            frames.append(np.asarray(video.convert("RGB")))
    return frames, durations


def test_a_gif_moves_from_the_start_to_the_outcome(video, library, traces):
    trace = msgspec.structs.replace(traces[0], steps=traces[0].steps[-2:])
    path = video([trace])
    assert path.stat().st_size < 2e5  # no noise comes in
    frames, durations = gif_frames(path)
    assert frames[0].shape == (360, 480, 3)
    assert sum(durations) == pytest.approx(1000 * seconds(trace, library), abs=130)
    # At least three pictures of each move, and one of each look.
    assert len(frames) > 4 * len(trace.steps)
    assert max(durations) >= 800
    # The walk is a success, which the last frame shows in large green letters on the view.
    view = arranged((480, 360), 1).panels[0]["view"]
    green = [
        (abs(frame[: view[3], : view[2]].astype(int) - COLOURS["success"]).max(-1) < 16).sum()
        for frame in (frames[0], frames[-1])
    ]
    assert green[0] < 20
    assert green[1] > 200


def test_an_mp4_has_25_frames_a_second(video, library, traces):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="mp4 needs the extra 'video'")
    trace = msgspec.structs.replace(traces[0], steps=traces[0].steps[-1:])
    path = video([trace], name="walk.mp4")
    count, length = ffmpeg.count_frames_and_secs(str(path))
    assert length == pytest.approx(seconds(trace, library), abs=0.05)
    assert count == round(25 * length)


def test_two_agents_are_recorded_on_video_side_by_side(video, traces):
    pair = [
        msgspec.structs.replace(traces[0], agent=agent, steps=traces[0].steps[-1:])
        for agent in ("one", "other")
    ]
    frames, _ = gif_frames(video(pair, VideoSettings((640, 360))))
    shown = [frames[3][:, :320], frames[3][:, 320:]]
    for half, colour in zip(shown, AGENTS, strict=True):
        assert (abs(half.astype(int) - colour).max(-1) < 14).sum() > 100


def test_gifs_are_smaller_than_mp4s_by_default(library, pictures, traces, tmp_path):
    short = msgspec.structs.replace(traces[0], steps=traces[0].steps[-1:])
    write_video(tmp_path / "walk.gif", [short], library, pictures)
    with Image.open(tmp_path / "walk.gif") as video:
        assert video.size == (960, 540)


@pytest.mark.usefixtures("no_system_fonts")
def test_a_font_that_is_missing_is_named_and_nothing_is_written(library, traces, tmp_path):
    words = ("दरवाज़े ", "के ", "पास ", "रुकें।")
    changed = msgspec.structs.replace(
        traces[0],
        instruction="".join(words),
        words=words,
        steps=tuple(msgspec.structs.replace(s, word_attention=None) for s in traces[0].steps),
    )
    with pytest.raises(ValueError, match=r"no font on this machine has .*DEVANAGARI.*install"):
        write_video(tmp_path / "walk.gif", [changed], library, NoPictures("none"), SMALL)
    assert not list(tmp_path.iterdir())
