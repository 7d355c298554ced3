"""Fixtures that every test room shares."""

import json
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import pytest

from clipnav.cli import main
from clipnav.envs.habitat.client import shared_server
from clipnav.storage.features.store import FeatureStore
from tests.chromium import browser  # noqa: F401
from tests.damage import damage
from tests.goal_files import write_goal_annotations
from tests.launching import Launcher, forked_instead_of_spawned
from tests.ordering import pytest_collection_finish, pytest_collection_modifyitems  # noqa: F401
from tests.skyboxes import marked_faces
from tests.temporary_folder import own_temporary_folder

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder beside the project with golden outputs and the real navigation graphs."""
    if not (SHARED / "golden").is_dir():
        pytest.skip(f"golden data not found: {SHARED} is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def golden_systems() -> Path:
    """Folder of the golden outputs of whole systems.

    The environment variable CLIPNAV_GOLDEN_SYSTEMS names another folder.
    """
    folder = Path(os.environ.get("CLIPNAV_GOLDEN_SYSTEMS") or SHARED / "golden" / "systems")
    if not folder.is_dir():
        pytest.skip(f"golden outputs not found: {folder}; set CLIPNAV_GOLDEN_SYSTEMS")
    return folder


@pytest.fixture(autouse=True)
def _default_matmul_precision():
    """Restore the precision of matrix products, which trainings set for their process."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_float32_matmul_precision("highest")


@pytest.fixture(scope="session", autouse=True)
def _processes(tmp_path_factory):
    """Start worker processes without their imports, and delete what processes leave behind."""
    with own_temporary_folder(tmp_path_factory), forked_instead_of_spawned():
        yield


@pytest.fixture
def run_command(monkeypatch, capsys):
    """Run a command of `clipnav` in this process, which saves its imports; return its output."""
    monkeypatch.setenv("CLIPNAV_TRACEBACK", "1")  # errors keep their type

    def run(name, *arguments):
        capsys.readouterr()
        if status := main([name, *map(str, arguments)]):
            sys.exit(status)
        return capsys.readouterr().out

    return run


@pytest.fixture
def habitat_python(tmp_path, monkeypatch) -> Path:
    """Interpreter in which the fake of habitat-sim is installed, and nothing of this project."""
    path = tmp_path / "habitat" / "bin" / "python"
    path.parent.mkdir(parents=True)
    fakes = ROOT / "tests" / "fakes"
    path.write_text(f'#!/bin/sh\nPYTHONPATH="{fakes}" exec "{sys.executable}" "$@"\n')
    path.chmod(0o755)
    monkeypatch.setenv("CLIPNAV_HABITAT_PYTHON", str(path))
    shared_server.cache_clear()
    yield path
    shared_server.cache_clear()


@pytest.fixture
def no_system_fonts(monkeypatch):
    """A machine without fonts, whatever other tests of this process have drawn."""
    from clipnav.envs.drawing import fonts

    monkeypatch.setattr(fonts, "_system_fonts", lambda: ())
    monkeypatch.setattr(fonts, "_path", fonts._path.__wrapped__)


@pytest.fixture
def locked_elsewhere():
    """Within it another process, which it gives, holds the lock of an output."""

    @contextmanager
    def locked(output, hold="exclusive_lock", prelude=""):
        program = f"""{prelude}
import sys
from pathlib import Path
from clipnav.storage.locks import {hold}
with {hold}(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""
        arguments = [sys.executable, "-W", "ignore", "-c", program, str(output)]
        pipe = subprocess.PIPE
        with subprocess.Popen(arguments, stdin=pipe, stdout=pipe, text=True) as other:
            assert other.stdin is not None
            assert other.stdout is not None
            assert other.stdout.readline() == "held\n"
            yield other
            other.stdin.close()

    return locked


@pytest.fixture
def waiting_messages(monkeypatch) -> SimpleQueue:
    """Messages of waiting locks, of which capsys loses those that are written while it reads."""
    messages: SimpleQueue = SimpleQueue()
    monkeypatch.setattr("clipnav.storage.locks.tqdm.write", lambda text, _: messages.put(text))
    return messages


@pytest.fixture(scope="session")
def launcher():
    """Starts programs in forks of a process that has imported large packages."""
    return Launcher()


@pytest.fixture
def file_size_limit():
    """Within it no file can grow beyond so many bytes, as on a full disk."""

    @contextmanager
    def limited(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return limited


@pytest.fixture
def check_same_run():
    """Function that checks that an uninterrupted and a resumed trainer have equal results."""
    # Imported here so that tests of other rooms do not load torch.
    import torch

    from clipnav.training.checkpoints import model_metadata
    from clipnav.training.log import read_log

    def events(run):
        return [{k: v for k, v in one.items() if k != "seconds"} for one in read_log(run)]

    def check(whole, resumed):
        for name, value in whole.learner.network.state_dict().items():
            assert torch.equal(value, resumed.learner.network.state_dict()[name])
        assert events(whole.run) == events(resumed.run)
        assert resumed.best == whole.best
        iterations = [model_metadata(run)["iteration"] for run in (whole.run, resumed.run)]
        assert iterations[0] == iterations[1]

    return check


@pytest.fixture(scope="session")
def tiny_world(tmp_path_factory) -> Path:
    """Data folder of a world with two little buildings, in the layout of "matterport".

    `attic` is a crooked lattice of nine viewpoints (a0 .. a8; a9 is excluded and a10 has no edge),
    `barn` a ring of six (b0 .. b5). `features.safetensors` has D = 8.
    """
    return write_tiny_world(tmp_path_factory.mktemp("tiny_world"))


@pytest.fixture(scope="session")
def tiny_arguments(tiny_world) -> dict[str, str]:
    """Arguments of an environment in that world."""
    return {
        "world": "matterport",
        "data_dir": str(tiny_world),
        "features": str(tiny_world / "features.safetensors"),
    }


def write_tiny_world(data_dir: Path) -> Path:
    rng = np.random.default_rng(7)
    connectivity = data_dir / "matterport" / "connectivity"
    connectivity.mkdir(parents=True)
    lattice = np.array([[2.4 * (i % 3), 2.4 * (i // 3), 1.5] for i in range(9)])
    attic = np.concatenate([lattice, [[2.0, 9.0, 1.5], [9.0, 9.0, 1.5]]])
    attic += rng.uniform(-0.4, 0.4, attic.shape)
    pairs = [(i, i + 1) for i in range(9) if i % 3 < 2] + [(i, i + 3) for i in range(6)]
    write_graph(connectivity, "attic", "a", attic, [*pairs, (0, 4), (7, 9)], excluded={9})
    angles = 2 * np.pi * np.arange(6) / 6 + rng.uniform(-0.2, 0.2, 6)
    barn = np.stack([3 * np.sin(angles), 3 * np.cos(angles), 1.5 + 0.2 * np.arange(6)], axis=1)
    write_graph(connectivity, "barn", "b", barn, [(i, (i + 1) % 6) for i in range(6)])
    (connectivity / "scans.txt").write_text("attic\nbarn\n")
    write_annotations(data_dir)
    write_goal_annotations(data_dir)
    keys = [f"attic_a{i}" for i in range(11)] + [f"barn_b{i}" for i in range(6)]
    views = rng.standard_normal((len(keys), 36, 8)).astype(np.float16)
    FeatureStore.write(data_dir / "features.safetensors", views, keys, {"encoder": "test"})
    return data_dir


def write_graph(directory, scan, prefix, positions, edges, excluded=()):
    places = {f"{prefix}{i}": position for i, position in enumerate(positions)}
    linked = {(f"{prefix}{i}", f"{prefix}{j}") for i, j in edges}
    records = connectivity_records(places, linked, {f"{prefix}{i}" for i in excluded})
    (directory / f"{scan}_connectivity.json").write_text(json.dumps(records))


def connectivity_records(places, edges, excluded=()):
    """Records of viewpoints at places (x, y) or (x, y, z), by name, with edges between two names.

    Of names of a letter an edge may be a string: "ab".
    """
    pairs = {frozenset(edge) for edge in edges}
    records = []
    for name, position in places.items():
        pose = np.eye(4)
        pose[: len(position), 3] = position
        linked = [{name, other} in pairs for other in places]
        records.append(
            {
                "image_id": name,
                "pose": pose.ravel().tolist(),
                "included": name not in excluded,
                "visible": linked,
                "unobstructed": linked,
                "height": 1.5,
            }
        )
    return records


def write_annotations(data_dir):
    attic = [[0, 1, 2, 5], [6, 7, 8], [8, 5, 4, 3], [2, 1, 0], [3, 4, 7], [0, 4, 8], [5, 4, 3, 6]]
    barn = [[0, 1, 2], [3, 4, 5, 0], [5, 4, 3], [1, 0, 5]]
    splits = {
        "train": r2r_records("attic", [[f"a{i}" for i in path] for path in attic], 100),
        "val_unseen": r2r_records("barn", [[f"b{i}" for i in path] for path in barn], 200),
        "test": r2r_records("barn", [["b2"], ["b4"]], 300),
    }
    (data_dir / "r2r").mkdir()
    for split, records in splits.items():
        (data_dir / "r2r" / f"R2R_{split}.json").write_text(json.dumps(records))
    (data_dir / "rxr").mkdir()
    for split in ("train", "val_unseen"):
        lines = [
            {
                "split": split,
                "instruction_id": 10 * record["path_id"] + k,
                "path_id": record["path_id"],
                "scan": record["scan"],
                "path": record["path"],
                "heading": record["heading"],
                "language": language,
                "instruction": text,
            }
            for record in splits[split]
            for k, (language, text) in enumerate(
                [("en-IN", record["instructions"][0]), ("hi-IN", "दरवाज़े के पास रुकें।")]
            )
        ]
        text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (data_dir / "rxr" / f"rxr_{split}_guide.jsonl").write_text(text, encoding="utf-8")


def r2r_records(scan, paths, first_id):
    return [
        {
            "scan": scan,
            "path_id": first_id + i,
            "path": path,
            "heading": 0.7 * i,
            "distance": 5.0,
            "instructions": [
                f"Walk past the red sofa, then stop near the {thing}."
                for thing in "bed door".split()
            ],
        }
        for i, path in enumerate(paths)
    ]


@pytest.fixture(scope="session")
def marked_skybox():
    """Function that returns the faces (S, 6 S, 3) uint8 of a skybox; colours encode directions.

    Red, green and blue are 127.5 + 127 times the x, y and z of the direction in the building.
    """
    return marked_faces


@pytest.fixture(scope="session")
def damaged_versions():
    """Function that yields damaged versions of bytes: `damaged_versions(raw, seed, count)`."""
    return damage


@pytest.fixture(scope="session")
def tiny_bert(tmp_path_factory):
    """Folder of a Hugging Face model with one small layer and random weights."""
    # Imported here so that tests of other folders do not load torch.
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("tiny_bert")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(special_tokens=marks, show_progress=False)
    colours = ("red", "green", "blue", "white")
    sentences = [f"go to the {colour} door. walk up, one stop there" for colour in colours]
    tokenizer.train_from_iterator(sentences, trainer)
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    names = ["pad_token", "unk_token", "cls_token", "sep_token", "mask_token"]
    given = dict(zip(names, marks, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, **given).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=24,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=90,
    )
    BertModel(config).save_pretrained(folder)
    return folder
