"""Samples of files of training runs and downloads."""

import shutil
from pathlib import Path
from typing import Any

from samples import Sample, write_lines

WORDS = ["<PAD>", "<UNK>", "<EOS>", "walk", "sofa", "<BOS>"]
SENTENCES = ["Walk past the red sofa.", "Stop near the door, then turn left."]


def vocabulary(folder: Path) -> Sample:
    from clipnav.envs.tokenizers import WordTokenizer, load_tokenizer

    path = folder / "vocabulary.json"
    WordTokenizer(WORDS).save(path)
    return path, lambda: load_tokenizer(path)


def vocabulary_of_pieces(folder: Path) -> Sample:
    from clipnav.envs.tokenizers import SubwordTokenizer, load_tokenizer

    path = folder / "vocabulary.json"
    SubwordTokenizer.build(SENTENCES, 60).save(path)
    return path, lambda: load_tokenizer(path).encode(SENTENCES[0], 20)


def vocabulary_of_tasks(folder: Path) -> Sample:
    from clipnav.vl_tasks.text.vocabulary import Vocabulary

    path = folder / "words.json"
    Vocabulary(["red", "sofa", "door", "left"]).save(path)
    return path, lambda: Vocabulary.load(path)


def config(folder: Path) -> Sample:
    from clipnav.agents.envdrop.settings import TrainConfig
    from clipnav.training.settings import CONFIG, read_config, to_json

    path = folder / CONFIG
    path.write_text(to_json(TrainConfig()))
    return path, lambda: read_config(folder, TrainConfig)


def metrics(folder: Path) -> Sample:
    from clipnav.training.log import METRICS, read_log

    events = [{"kind": "train", "iteration": i, "loss": 0.1 * i} for i in range(20)]
    path = write_lines(
        folder / METRICS, [*events, {"kind": "a", "iteration": 21, "x": float("nan")}]
    )
    return path, lambda: read_log(folder)


def trainer(folder: Path) -> Sample:
    import torch

    from clipnav.training.checkpoints import TRAINER, load_trainer, save_trainer

    network = torch.nn.Linear(4, 3)
    state = {"network": network.state_dict(), "iteration": 7, "notes": {"a": [1, 2.5, "b"]}}
    save_trainer(folder, state)
    return folder / TRAINER, lambda: load_trainer(folder)


def model(folder: Path) -> Sample:
    import torch

    from clipnav.training.checkpoints import MODEL, load_model, save_model

    network: Any = torch.nn.Linear(4, 3)
    network.architecture = {"visual width": "4"}
    save_model(folder, network, {"encoder": "a"})
    return folder / MODEL, lambda: load_model(folder, network, {"encoder": "a"})


def checksums(folder: Path) -> Sample:
    from clipnav.storage.downloads import Checksums

    seen = Checksums(folder)
    for name in "abc":
        (folder / name).write_text(name)
        seen.check(name, None, f"https://example.org/{name}")
    return seen.path, lambda: Checksums(folder)


def archive(folder: Path) -> Sample:
    import zipfile

    from clipnav.storage.downloads import unpack_zip

    path = folder / "data.zip"
    with zipfile.ZipFile(path, "w") as content:
        content.writestr("a/text.txt", "red sofa " * 50, zipfile.ZIP_DEFLATED)
        content.writestr("b.bin", bytes(range(200)), zipfile.ZIP_STORED)
        content.writestr("c.txt", "door " * 50, zipfile.ZIP_LZMA)
        content.writestr("d.txt", "door " * 50, zipfile.ZIP_BZIP2)

    def unpack() -> None:
        shutil.rmtree(folder / "out", ignore_errors=True)
        unpack_zip(path, folder / "out")

    return path, unpack
