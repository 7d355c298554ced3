"""Samples of files of vision-and-language pre-training: pairs, their index, runs and weights."""

import os
from pathlib import Path
from typing import Any

from samples import Sample, write_json

ANSWERS = ["red", "blue", "sofa"]


def _pairs(folder: Path) -> Path:
    """Write pairs in LXMERT's form, their images, and set the cache that the index is built in."""
    from PIL import Image

    os.environ["CLIPNAV_CACHE"] = str(folder / "cache")
    (folder / "images").mkdir()
    for number in range(3):
        Image.new("RGB", (8, 6)).save(folder / "images" / f"{number}.png")
    records = [
        {
            "img_id": str(number),
            "sentf": {"captions": ["a red sofa"], "vqa": ["what colour is it?", "what is it?"]},
            "labelf": {"vqa": [{"red": 1.0, "blue": 0.3}, {"sofa": 1}]},
        }
        for number in range(3)
    ]
    return write_json(folder / "pairs_train.json", records)


def _read_all(pairs: Any) -> None:
    from clipnav.vl_tasks.clip_vil_p.data.framing import Framing

    for number in range(len(pairs)):
        pair = pairs[number]
        pairs.image_name(pair.image)
        assert all(pairs.answers[answer] for answer in pair.answers)
    _ = pairs.portrait(Framing(64, 96, "clip-vil")), pairs.answer_counts


def lxmert_pairs(folder: Path) -> Sample:
    from clipnav.vl_tasks.clip_vil_p.data.pair_files import open_pairs

    path = _pairs(folder)

    def read() -> None:
        os.environ["CLIPNAV_CACHE"] = str(folder / "cache")
        _read_all(open_pairs(folder, ["train"], folder / "images"))

    return path, read


def _index_sample(folder: Path, name: str) -> Sample:
    from clipnav.vl_tasks.clip_vil_p.data.pair_files import open_pairs
    from clipnav.vl_tasks.clip_vil_p.data.pair_index import PairIndex

    _pairs(folder)
    index = open_pairs(folder, ["train"], folder / "images").folder

    def read() -> None:
        pairs = PairIndex(index, folder / "images")
        pairs.check()
        _read_all(pairs)

    return index / name, read


def pair_index(folder: Path) -> Sample:
    return _index_sample(folder, "index.json")


def pair_index_texts(folder: Path) -> Sample:
    return _index_sample(folder, "texts")


def pair_index_ends(folder: Path) -> Sample:
    return _index_sample(folder, "label_ends")


def pair_index_images(folder: Path) -> Sample:
    return _index_sample(folder, "images")


def pair_index_scores(folder: Path) -> Sample:
    return _index_sample(folder, "label_scores")


def pretraining_answers(folder: Path) -> Sample:
    from clipnav.vl_tasks.clip_vil_p.data.answers import AnswerClasses

    path = write_json(folder / "all_ans.json", [{"ans": answer, "dsets": []} for answer in ANSWERS])
    return path, lambda: AnswerClasses.load(path)


def uniter_texts(folder: Path) -> Sample:
    import lmdb
    import lz4.frame
    import msgspec

    from clipnav.vl_tasks.data.pairs import read_hypotheses

    path = folder / "ve_train.db"
    with lmdb.open(str(path), map_size=1 << 20, subdir=False) as environment:
        with environment.begin(write=True) as transaction:
            for number in range(40):
                record = {
                    "sentence1": "A dog.",
                    "sentence2": "An animal is outside.",
                    "target": {"labels": [number % 3]},
                    "image_id": number,
                }
                raw = lz4.frame.compress(msgspec.msgpack.encode(record))
                transaction.put(f"{number}".encode(), raw)
    return path, lambda: read_hypotheses(path)


def _run(folder: Path) -> Path:
    """Write a tiny run of clipnav pretrain-vl."""
    import torch

    from clipnav.training.checkpoints import save_model
    from clipnav.training.settings import CONFIG, to_json
    from clipnav.vl_tasks.clip_vil_p.building import make_network, save_description
    from clipnav.vl_tasks.clip_vil_p.data.answers import AnswerClasses
    from clipnav.vl_tasks.clip_vil_p.data.word_pieces import WordPieces
    from clipnav.vl_tasks.clip_vil_p.settings import PretrainVlConfig
    from clipnav.vl_tasks.settings.networks import TextConfig, TrunkConfig

    torch.manual_seed(0)
    config = PretrainVlConfig(
        text=TextConfig(vocabulary_size=60, hidden_size=8, layers=1, heads=2, feed_forward_size=8),
        trunk=TrunkConfig(positions=2),
        image_size=(64, 64),
        faithful=True,
    )
    pieces, answers = WordPieces.learn(["a red sofa", "a blue door"], 60), AnswerClasses(ANSWERS)
    network, tower = make_network(config, pieces, len(answers))
    run = folder / "run"
    run.mkdir()
    pieces.save(run)
    answers.save(run)
    save_description(run, network.stream.bert, tower)
    save_model(run, network, {"word pieces": pieces.digest})
    (run / CONFIG).write_text(to_json(config))
    return run


def _run_sample(folder: Path, name: str) -> Sample:
    from clipnav.vl_tasks.clip_vil_p.building import load_run

    run = _run(folder)
    return run / name, lambda: load_run(run)


def pretrained_trunk(folder: Path) -> Sample:
    return _run_sample(folder, "trunk.json")


def pretrained_bert(folder: Path) -> Sample:
    return _run_sample(folder, "bert.json")


def pretrained_pieces(folder: Path) -> Sample:
    return _run_sample(folder, "tokenizer.json")


def pretrained_config(folder: Path) -> Sample:
    return _run_sample(folder, "config.json")


def pretrained_weights(folder: Path) -> Sample:
    return _run_sample(folder, "model.safetensors")


def original_checkpoint(folder: Path) -> Sample:
    import shutil

    import torch
    from transformers import PreTrainedTokenizerFast

    from clipnav.vl_tasks.clip_vil_p.building import load_run
    from clipnav.vl_tasks.clip_vil_p.conversion import convert_checkpoint
    from tests.vl_tasks.clip_vil_p.test_conversion import original_name

    run = _run(folder)
    weights = load_run(run)[1].state_dict()
    path, bert, output = folder / "Epoch11_LXRT.pth", folder / "bert", folder / "converted"
    torch.save({original_name(name): x for name, x in weights.items()}, path)
    PreTrainedTokenizerFast(tokenizer_file=str(run / "tokenizer.json")).save_pretrained(bert)
    answers = write_json(folder / "all_ans.json", ANSWERS)

    def convert() -> None:
        shutil.rmtree(output, ignore_errors=True)
        convert_checkpoint(path, output, "house_clip", str(bert), answers, heads=2)

    return path, convert
