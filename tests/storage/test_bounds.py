"""Small files that declare much are refused before their readers allocate it."""

import io
import json
import struct
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

from clipnav.encoders.weights.weight_files import read_weights
from clipnav.envs.models.glb import read_glb
from clipnav.storage.downloads import unpack_zip
from clipnav.storage.errors import UserError
from clipnav.storage.features.isolated_files import IsolatedFile
from clipnav.storage.pictures import load_picture, picture_header
from clipnav.storage.torch_files import read_torch_file
from clipnav.vl_tasks.grids.regions import read_regions
from clipnav.vl_tasks.reliability.parts import read_published_ids

MOST = 200 << 20


def object_array(path: Path, *opcodes: bytes) -> None:
    """Write an array of objects with another pickle."""
    file = io.BytesIO()
    np.save(file, np.array([{}], dtype=object))
    header = file.getvalue()[: file.getvalue().index(b"\n") + 1]
    path.write_bytes(header + b"\x80\x02" + b"".join(opcodes) + b".")


def deflated(path: Path) -> None:
    """Compress the storages of a file of torch.save."""
    torch.save({"a": torch.zeros(1 << 26)}, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def linked(path: Path) -> None:
    with h5py.File(path, "w") as file:
        file["scan_0"] = np.random.default_rng(0).normal(size=(36, 2048))
        for number in range(1, 2_000):
            file[f"scan_{number}"] = file["scan_0"]


def zeros(path: Path) -> None:
    with h5py.File(path, "w") as file:
        for number in range(100):
            options = {"chunks": (36, 8192), "compression": "gzip"}
            file.create_dataset(f"scan_{number}", (36, 1 << 16), "f8", **options)


def zip_of_zeros(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.txt", bytes(1 << 28))


def accessors(path: Path, count: int) -> None:
    tree = {
        "asset": {"version": "2.0"},
        "accessors": [{"componentType": 5126, "count": count, "type": "VEC3"}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}}]}],
        "nodes": [{"mesh": 0}],
        "scenes": [{"nodes": [0]}],
        "materials": [],
    }
    raw = json.dumps(tree).encode()
    raw += b" " * (-len(raw) % 4)
    head = struct.pack("<4sIIII", b"glTF", 2, 28 + len(raw), len(raw), 0x4E4F534A)
    path.write_bytes(head + raw + struct.pack("<I4s", 0, b"BIN\0"))


def read_hdf5(path: Path) -> None:
    list(IsolatedFile(path, "HDF5", "write it again"))


BOMBS = {
    "memo.npy": (
        lambda path: object_array(path, b"Nr", struct.pack("<I", 1 << 26)),
        read_published_ids,
    ),
    "bytes.npy": (
        lambda path: object_array(path, b"\x96", struct.pack("<Q", 1 << 30)),
        read_published_ids,
    ),
    "a.npz": (lambda path: np.savez_compressed(path, x=np.zeros((2048, 1 << 14))), read_regions),
    "weights.pt": (deflated, read_weights),
    "trainer.pt": (deflated, lambda path: read_torch_file(path, "train the run again")),
    "links.hdf5": (linked, read_hdf5),
    "zeros.hdf5": (zeros, read_hdf5),
    "a.zip": (zip_of_zeros, lambda path: unpack_zip(path, path.parent / "unpacked")),
    "a.glb": (lambda path: accessors(path, 10**8), lambda path: read_glb(path, ())),
}


def memory(name: str) -> int:
    """Return a figure of this process, such as the peak of its memory, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line.split()[1] for line in lines if line.startswith(name)))


@pytest.mark.skipif(sys.platform != "linux", reason="the peak of the memory is reset in /proc")
@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_refused_within_little_memory(name, tmp_path):
    write, read = BOMBS[name]
    path = tmp_path / name
    write(path)
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    with pytest.raises(UserError, match=f"{name}: ") as caught:
        read(path)
    assert memory("VmHWM") - before < MOST
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("read", [load_picture, picture_header])
@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        (b"VP8X", bytes(4) + b"\xfe\x3f\0" * 2),
        (b"VP8L", b"\x2f\xfe\xbf\xff\x0f" + bytes(9)),
        (b"VP8 ", b"\x10\0\0\x9d\x01\x2a\xff\x3f\xff\x3f" + bytes(9)),
    ],
)
def test_a_canvas_of_webp_is_refused_before_it_is_allocated(kind, sizes, read, tmp_path):
    path = tmp_path / "a.webp"
    body = kind + struct.pack("<I", len(sizes)) + sizes
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body)
    with pytest.raises(UserError, match=r"a\.webp: 16383 x 16383 pixels, more than"):
        read(path)


@pytest.mark.parametrize("options", [{"lossless": True}, {"quality": 50}, {"exif": b"Exif\0\0"}])
def test_pictures_in_webp_are_read(options, tmp_path):
    Image.new("RGB", (300, 200), (200, 10, 10)).save(tmp_path / "a.webp", **options)
    assert load_picture(tmp_path / "a.webp").size == (300, 200)
    assert picture_header(tmp_path / "a.webp") == (300, 200, False)
