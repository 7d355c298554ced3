import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from clipnav.storage.pictures import PictureError, load_picture, picture_header


def png(width, height, rows=b""):
    """Return a PNG with a declared size and almost no data."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("size", [(60_000, 60_000), (10_000, 10_000), (1, 100_000_000)])
def test_images_with_too_many_pixels_are_refused_before_decoding(tmp_path, size):
    path = tmp_path / "bomb.png"
    path.write_bytes(png(*size))
    with pytest.raises(PictureError, match=r"bomb\.png: .*pixels"):
        load_picture(path)


def test_truncated_images_and_other_formats_are_refused(tmp_path):
    path = tmp_path / "a.jpg"
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(PictureError, match=r"a\.jpg: image file is truncated"):
        load_picture(path)
    Image.fromarray(noise).save(path, "TIFF")  # a format with a large and old library
    formats = r"a\.jpg: cannot identify its format, which must be one of JPEG, PNG, WEBP, GIF, BMP"
    for read in (load_picture, picture_header):
        with pytest.raises(PictureError, match=formats):
            read(path)
    with pytest.raises(PictureError, match=r"^texture: cannot identify") as error:
        load_picture(b"text", "texture")
    assert error.value.problem.startswith("cannot identify")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "BMP"])
def test_the_format_is_read_from_the_content(tmp_path, kind):
    Image.new("RGB", (6, 4), (200, 10, 10)).save(tmp_path / "a.jpg", kind)
    image = load_picture(tmp_path / "a.jpg")
    assert image.size == (6, 4)
    assert np.abs(np.asarray(image.convert("RGB")).astype(int) - (200, 10, 10)).max() < 12
