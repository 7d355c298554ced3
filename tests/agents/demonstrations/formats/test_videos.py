"""Videos whose pictures are encoded once."""

import numpy as np
import pytest

from clipnav.agents.demonstrations.formats.files import inside, read_video, write_beginnings


def test_beginnings_show_the_first_pictures(tmp_path):
    rng = np.random.default_rng(0)
    # Smooth pictures, which the codec keeps almost as they are.
    shades = rng.uniform(0, 255, (9, 1, 1, 3)) * np.linspace(0.5, 1, 32)[:, None, None]
    pictures = list(np.broadcast_to(shades, (9, 32, 48, 3)).astype(np.uint8))
    videos = {tmp_path / "new" / f"{count}.mp4": count for count in (1, 2, 5, 9)}
    write_beginnings(videos, pictures)
    whole = read_video(tmp_path / "new" / "9.mp4")
    for path, count in videos.items():
        frames = read_video(path)
        assert len(frames) == count
        for frame, picture, same in zip(frames, pictures, whole, strict=False):
            assert np.array_equal(frame, same)
            assert np.abs(frame.astype(int) - picture).mean() < 4


def test_videos_have_the_same_bytes_each_time(tmp_path):
    pictures = list(np.random.default_rng(0).integers(0, 255, (4, 16, 16, 3), np.uint8))
    for name in ("a", "b"):
        write_beginnings({tmp_path / f"{name}.mp4": 3}, pictures)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


@pytest.mark.parametrize(
    "name",
    ["", "/etc/passwd", "../other", "a/../../b", "C:\\x", "C:x", "\\x", "..\\other", "\\\\host\\x"],
)
def test_names_that_lead_outside_on_any_system_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="is not the name of a file inside the export"):
        inside(tmp_path, name)


def test_relative_names_are_files_of_the_folder(tmp_path):
    assert inside(tmp_path, "scan/a..b.jpg") == tmp_path / "scan" / "a..b.jpg"
