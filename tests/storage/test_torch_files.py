"""Files of `torch.save` are read as by PyTorch, but nothing in them is imported or called."""

import pickle
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from clipnav.storage.torch_files import ForeignObject, open_torch_file, read_torch_file, value_at
from tests.habitat_checkpoints import ETPNAV_SETTINGS, save_checkpoint

HINT = "save it again"


def write_pickle(path: Path, raw: bytes) -> None:
    """Write an archive of torch.save with another pickle."""
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", raw)


@pytest.mark.parametrize("old_format", [False, True])
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_values_equal_those_of_pytorchs_loader(tmp_path: Path, old_format: bool, protocol: int):
    torch.manual_seed(0)
    layer = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(layer.parameters())
    layer(torch.ones(3)).sum().backward()
    optimiser.step()
    shared = torch.randn(4, 5)
    saved: dict[str, Any] = {
        "weights": layer.state_dict(),
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "optimiser": optimiser.state_dict(),
        "views": [shared, shared[1:, ::2], shared.T],
        "types": [torch.ones(2, dtype=kind) for kind in (torch.bool, torch.bfloat16, torch.int64)],
        "empty": torch.empty(0, 3),
        "plain": (1, -(2**40), 2.5, True, None, "text", {3: "three"}, OrderedDict(a=1)),
    }
    path = tmp_path / "saved.pt"
    options: dict[str, Any] = {"_use_new_zipfile_serialization": not old_format}
    torch.save(saved, path, pickle_protocol=protocol, **options)
    if old_format and protocol > 2:  # its first pickles are of protocol 2 in every published file
        with pytest.raises(ValueError, match="not a file of torch"):
            read_torch_file(path, HINT)
        return
    read, expected = read_torch_file(path, HINT), torch.load(path, weights_only=False)
    assert read.pop("plain") == expected.pop("plain")
    torch.testing.assert_close(read, expected, rtol=0, atol=0)
    assert [one.stride() for one in read["views"]] == [one.stride() for one in saved["views"]]
    assert len({one.untyped_storage().data_ptr() for one in read["views"]}) == 1


@pytest.mark.parametrize("old_format", [False, True])
def test_objects_of_other_classes_are_data(tmp_path: Path, old_format: bool):
    path = tmp_path / "ckpt.pth"
    save_checkpoint(path, {"a": torch.ones(2)}, ETPNAV_SETTINGS, old_format)
    with open_torch_file(path, HINT) as file:
        config = value_at(file.content, "config")
        assert isinstance(config, ForeignObject)
        assert config.type == "habitat.config.default.Config"
        assert value_at(config, "IL.loc_noise") == 0.75
        assert value_at(config, "IL.loc_noise.more") is None
    assert "habitat" not in sys.modules
    with pytest.raises(ValueError, match=r"it contains habitat\.config\.default\.Config, which is"):
        read_torch_file(path, HINT)


def nested(levels: int) -> bytes:
    """Return the pickle of a list that contains the list below it twice, at every level."""
    raw = b"\x80\x02]q\x00"
    for level in range(levels):
        raw += b"](" + 2 * (b"h" + bytes([level])) + b"eq" + bytes([level + 1])
    return raw + b"."


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"\x80\x02]q\x00(h\x00e.", "nested too deeply"),
        (nested(200), "nested too deeply"),
        (b"\x80\x02r\xff\xff\xff\x7f.", "empty stack"),
        (b"\x80\x02\x8b\x01\x00\x00\x00\x01.", "opcode LONG4"),
        (b"\x80\x05\x96\x00\x00\x00\x00\x01\x00\x00\x00.", "opcode BYTEARRAY8|expected"),
        (b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.", "contains os.system"),
        (b"\x80\x02cos\nsystem\n.", "contains _Name"),
        (pickle.dumps({"a": print}, 4), "contains _Name"),
        (b"\x80\x02}(X\x01\x00\x00\x00au.", "key without a value"),
        (b"\x80\x02X\xff\xff\xff\x7fa.", "expected 2147483647 bytes"),
    ],
)
def test_hostile_pickles_are_refused_in_one_line(tmp_path: Path, raw: bytes, problem: str):
    path = tmp_path / "hostile.pt"
    write_pickle(path, raw)
    with pytest.raises(ValueError, match=rf"hostile\.pt: damaged \(.*{problem}") as caught:
        read_torch_file(path, HINT)
    assert "\n" not in str(caught.value)


def test_shared_values_take_no_exponential_time(tmp_path: Path):
    path = tmp_path / "shared.pt"
    write_pickle(path, nested(60))
    value = read_torch_file(path, HINT)
    for _ in range(60):
        assert value[0] is value[1]
        value = value[0]
    assert value == []


@pytest.mark.parametrize("old_format", [False, True])
def test_damage_is_found(tmp_path: Path, old_format: bool):
    path = tmp_path / "saved.pt"
    torch.save({"a": torch.arange(64.0)}, path, _use_new_zipfile_serialization=not old_format)
    raw = bytearray(path.read_bytes())
    if not old_format:  # archives have checksums
        raw[raw.index(torch.arange(64.0).numpy().tobytes()) + 100] ^= 1
        path.write_bytes(raw)
        with pytest.raises(ValueError, match=r"saved\.pt: damaged \(Bad CRC-32"):
            read_torch_file(path, HINT)
    path.write_bytes(raw[:-40])
    with pytest.raises(ValueError, match=r"saved\.pt: "):
        read_torch_file(path, HINT)


def test_compressed_tensors_are_refused_before_they_are_unpacked(tmp_path: Path):
    plain, packed = tmp_path / "plain.pt", tmp_path / "packed.pt"
    torch.save({"a": torch.zeros(1000)}, plain)
    with (
        zipfile.ZipFile(plain) as old,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for name in old.namelist():
            new.writestr(name, old.read(name))
    with pytest.raises(ValueError, match="its tensors are compressed"):
        read_torch_file(packed, HINT)
