"""Shards of a store: splitting, resuming after a kill, and merging."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from clipnav.encoders.clip import ClipEncoder
from clipnav.encoders.extraction.encoding import encode_viewpoints_with
from clipnav.storage.features.shards import Shard, merge_shards
from clipnav.storage.features.store import FeatureStore
from clipnav.storage.features.view_grid import NUM_VIEWS

KEYS = [f"lab_v{i}" for i in range(7)]
ROOT = Path(__file__).resolve().parents[3]

# Encodes shards in one process each, and every process kills itself before its third viewpoint. The
# processes are forked from one that has loaded torch but not used it, so that it is loaded once.
KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[1]).parent))
from test_shards import encode_part, views_of

def dying(keys):
    for number, key in enumerate(keys):
        if number == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield views_of(key)

children = []
for part in sys.argv[4:]:
    children.append(os.fork())
    if children[-1] == 0:
        encode_part(sys.argv[2], Path(sys.argv[3]), part, dying)
        os._exit(0)
print(*[os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children])
"""


def views_of(key: str) -> np.ndarray:
    rng = np.random.default_rng(list(key.encode()))
    return rng.integers(0, 256, (NUM_VIEWS, 64, 64, 3)).astype(np.uint8)


def load_views(keys: Sequence[str]) -> Iterator[np.ndarray]:
    return map(views_of, keys)


def encode_part(clip: str, output: Path, text: str, loader=load_views) -> None:
    shard = Shard.parse(text)
    encoder = ClipEncoder.load(clip, device="cpu")
    encode_viewpoints_with(
        shard.part(KEYS), loader, {shard.path(output): encoder}, {"vfov_degrees": 60}
    )


def test_shards_are_contiguous_and_cover_all_keys():
    for count in range(1, 8):
        parts = [Shard(index, count).part(KEYS) for index in range(count)]
        assert [key for part in parts for key in part] == KEYS
        assert max(map(len, parts)) - min(map(len, parts)) <= 1
    with pytest.raises(ValueError, match="7 viewpoints cannot be split into 8"):
        Shard(0, 8).part(KEYS)


def test_the_index_of_a_shard_is_read_from_text_or_launcher(tmp_path: Path):
    assert Shard.parse("3/16") == Shard(3, 16)
    assert Shard.parse("auto", {"RANK": "1", "WORLD_SIZE": "4"}) == Shard(1, 4)
    assert Shard.parse("auto", {"SLURM_PROCID": "2", "SLURM_NTASKS": "3"}) == Shard(2, 3)
    for text in ("2/2", "1", "-1/2", "a/b"):
        with pytest.raises(ValueError, match="must be i/n"):
            Shard.parse(text)
    with pytest.raises(ValueError, match="neither torchrun nor Slurm"):
        Shard.parse("auto", {"RANK": "1"})
    path = Shard(3, 16).path(tmp_path / "store.safetensors")
    assert path.name == "store-00003-of-00016.safetensors"


@pytest.mark.long
def test_killed_and_resumed_shards_equal_an_uninterrupted_run(tiny_resnet: Path, tmp_path: Path):
    whole, output = tmp_path / "whole" / "store.safetensors", tmp_path / "store.safetensors"
    encoder = ClipEncoder.load(str(tiny_resnet), device="cpu")
    encode_viewpoints_with(KEYS, load_views, {whole: encoder}, {"vfov_degrees": 60})
    command = [sys.executable, "-c", KILLED, __file__, str(tiny_resnet), str(output), "0/2", "1/2"]
    killed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert killed.stdout.split() == [str(-signal.SIGKILL)] * 2
    with pytest.raises(FileNotFoundError, match="no shard"):
        merge_shards(output)
    for index in range(2):
        partial = Shard(index, 2).path(output).with_suffix(".safetensors.partial")
        rows = partial.read_bytes().split(b"\n", 1)[1]
        assert len(rows) == 2 * (32 + NUM_VIEWS * 32 * 2)
        encode_part(str(tiny_resnet), output, f"{index}/2")
    merge_shards(output)
    assert output.read_bytes() == whole.read_bytes()


def write_shards(output: Path, count: int, **changes) -> None:
    for index in range(count):
        shard = Shard(index, count)
        keys = shard.part(KEYS)
        views = np.zeros((len(keys), NUM_VIEWS, 8), np.float16)
        metadata = {"encoder": "test"} | changes.get(f"part{index}", {})
        FeatureStore.write(shard.path(output), views, keys, metadata)


def test_missing_or_foreign_shards_are_named(tmp_path: Path):
    output = tmp_path / "store.safetensors"
    write_shards(output, 3, part2={"encoder": "other"})
    with pytest.raises(ValueError, match=r"store-00002-of-00003.*'encoder' is 'other'"):
        merge_shards(output)
    Shard(1, 3).path(output).unlink()
    with pytest.raises(FileNotFoundError, match=r"store-00001-of-00003.* missing"):
        merge_shards(output)
    write_shards(output, 2)
    with pytest.raises(ValueError, match=r"shards of \[2, 3\] parts"):
        merge_shards(output)
    assert not output.exists()


def test_merging_replaces_no_other_store(tmp_path: Path):
    output = tmp_path / "store.safetensors"
    write_shards(output, 2)
    views = np.zeros((1, NUM_VIEWS, 4), np.float16)
    FeatureStore.write(output, views, KEYS[:1], {"encoder": "other"})
    before = output.read_bytes()
    with pytest.raises(FileExistsError, match="already exists, with other viewpoints or settings"):
        merge_shards(output)
    assert output.read_bytes() == before
