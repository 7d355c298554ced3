import numpy as np
import pytest
from PIL import Image

from clipnav.viewer.videos.writing import Animation, Gif, Mp4, check_kind

RNG = np.random.default_rng(0)


def picture(shade):
    frame = np.full((360, 480, 3), (200, 210, 220), np.uint8)
    frame[100:200, 50:150] = (shade, 90, 40)
    return frame


def test_gifs_hold_what_was_added_for_as_long(tmp_path):
    shades = [(250, 5), (130, 1), (30, 3)]
    frames = [picture(shade) for shade, _ in shades]
    path = tmp_path / "video.gif"
    writer = Gif(path, 8.0)
    for frame, (_, count) in zip(frames, shades, strict=True):
        for _ in range(count):
            writer.add(frame)
    writer.close()
    with Image.open(path) as video:
        assert video.n_frames == 3
        assert video.info["loop"] == 0
        durations = []
        for number, frame in enumerate(frames):
            video.seek(number)
            durations.append(video.info["duration"])
            found = np.asarray(video.convert("RGB")).astype(int)
            assert abs(found - frame).max() <= 8
    # 5, 1 and 3 eighths of a second, rounded without adding up.
    assert durations == [620, 130, 370]


@pytest.mark.parametrize(("kind", "error"), [(".apng", 0), (".webp", 12)])
def test_animations_have_true_colours_and_durations(tmp_path, kind, error):
    ramp = np.arange(480, dtype=np.uint8)[None, :, None] // 2 + np.zeros((360, 1, 3), np.uint8)
    frames = [ramp, np.ascontiguousarray(ramp[:, ::-1])]
    writer = Animation(tmp_path / f"video{kind}", kind, 8.0)
    for frame in (frames[0], frames[0], frames[0], frames[1]):
        writer.add(frame)
    writer.close()
    with Image.open(tmp_path / f"video{kind}") as video:
        assert video.n_frames == 2
        assert video.info["loop"] == 0
        for number, (frame, duration) in enumerate(zip(frames, (375, 125), strict=True)):
            video.seek(number)
            video.load()
            assert video.info["duration"] == duration
            assert abs(np.asarray(video.convert("RGB")).astype(int) - frame).max() <= error


def test_only_what_has_changed_is_written(tmp_path):
    noise = RNG.integers(0, 255, (360, 480, 3), np.uint8)
    changed = noise.copy()
    changed[:20, :20] = 0
    sizes = []
    for frames in ([noise], [noise, changed]):
        writer = Gif(tmp_path / "video.gif", 8.0)
        for frame in frames:
            writer.add(frame)
            writer.add(frame)
        writer.close()
        sizes.append((tmp_path / "video.gif").stat().st_size)
    assert sizes[1] - sizes[0] < 0.02 * sizes[0]


def test_noise_below_the_error_bound_costs_nothing(tmp_path):
    """Sensor noise on a wall must not be written again in each frame."""
    noisy = [
        np.clip(picture(250) + RNG.integers(-3, 4, (360, 480, 3)), 0, 255).astype(np.uint8)
        for _ in range(4)
    ]
    sizes = []
    for frames in (noisy[:1], noisy):
        path = tmp_path / "video.gif"
        writer = Gif(path, 8.0)
        for frame in frames:
            writer.add(frame)
        writer.close()
        sizes.append(path.stat().st_size)
    assert sizes[1] - sizes[0] < 2_000 + 0.1 * sizes[0]
    with Image.open(path) as video:
        video.seek(video.n_frames - 1)
        assert abs(np.asarray(video.convert("RGB")).astype(int) - noisy[-1]).max() <= 13


def test_mp4s_are_h264_that_every_player_shows(tmp_path):
    ffmpeg = pytest.importorskip("imageio_ffmpeg", reason="mp4 needs the extra 'video'")
    path = tmp_path / "video.mp4"
    writer = Mp4(path, (480, 360), 25)
    for shade in range(50):
        writer.add(picture(5 * shade))
    writer.close()
    reader = ffmpeg.read_frames(str(path))
    about = next(reader)
    assert about["codec"] == "h264"
    assert about["pix_fmt"].startswith("yuv420p")
    assert about["size"] == (480, 360)
    assert about["fps"] == 25
    assert about["duration"] == pytest.approx(2.0)
    frames = [np.frombuffer(one, np.uint8).reshape(360, 480, 3) for one in reader]
    assert len(frames) == 50
    assert abs(frames[-1].astype(int) - picture(245)).mean() < 4
    # The index precedes the frames.
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_videos_require_a_known_suffix_and_its_encoder(tmp_path, monkeypatch):
    assert check_kind(tmp_path / "walk.GIF") == ".gif"
    with pytest.raises(ValueError, match=r"\.gif or \.mp4"):
        check_kind(tmp_path / "walk.avi")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"clipnav\[video\]"):
        check_kind(tmp_path / "walk.mp4")
