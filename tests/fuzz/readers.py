"""Readers of files that users bring, each with a small sound file: what the fuzz tests damage.

A reader is a function that writes what it needs into a folder and returns the file to be damaged
and a call that reads it.
"""

import gzip
import importlib.util
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

Sample = tuple[Path, Callable[[], object]]

WORDS = ["<PAD>", "<UNK>", "<EOS>", "walk", "sofa", "<BOS>"]
KEYS = [f"attic_a{i}" for i in range(3)]
SENTENCES = ["Walk past the red sofa.", "Stop near the door, then turn left."]


def _views() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((3, 36, 8)).astype(np.float16)


def _json(path: Path, content: Any, packed: bool = False) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    raw = json.dumps(content).encode()
    path.write_bytes(gzip.compress(raw, mtime=0) if packed else raw)
    return path


def _lines(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def _world(folder: Path) -> Any:
    """The world of two tiny buildings in a folder."""
    from envs.worlds import world_files

    spec = importlib.util.spec_from_file_location(
        "conftest", Path(__file__).resolve().parents[1] / "conftest.py"
    )
    assert spec is not None
    assert spec.loader is not None
    conftest = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(conftest)
    conftest.write_tiny_world(folder)
    return world_files("matterport", folder)


def connectivity(folder: Path) -> Sample:
    from connectivity import read_connectivity

    directory = _world(folder).connectivity_dir
    return directory / "attic_connectivity.json", lambda: read_connectivity("attic", directory)


def scans(folder: Path) -> Sample:
    from connectivity import read_scans

    path = folder / "scans.txt"
    path.write_text("attic\nbarn\n" * 3 + "".join(f"scan{i}\n" for i in range(9)))
    path.write_text("".join(f"scan{i}\n" for i in range(30)))
    return path, lambda: read_scans(folder)


def _episodes(folder: Path, dataset: Any, packed: bool = False, timed: bool = False) -> Sample:
    from envs.episodes import load_episodes

    files = _world(folder)
    path = files.annotations("rxr" if dataset == "rxr" else "r2r", "train")
    if dataset == "r4r":
        path = _json(folder / "r4r" / "R4R_train.json", json.loads(path.read_text()))
    if packed:
        raw = gzip.compress(path.read_bytes(), mtime=0)
        path.unlink()
        path = path.with_suffix(".jsonl.gz")
        path.write_bytes(raw)
    return path, lambda: load_episodes(dataset, "train", files, timed=timed)


def r2r(folder: Path) -> Sample:
    return _episodes(folder, "r2r")


def r4r(folder: Path) -> Sample:
    return _episodes(folder, "r4r")


def rxr(folder: Path) -> Sample:
    return _episodes(folder, "rxr")


def rxr_packed(folder: Path) -> Sample:
    return _episodes(folder, "rxr", packed=True, timed=True)


def joined_paths(folder: Path) -> Sample:
    from envs.episodes.r4r import join_paths

    files = _world(folder)
    return files.annotations("r2r", "train"), lambda: join_paths("train", files)


def demonstrations(folder: Path) -> Sample:
    from envs.episodes import load_demonstrations

    files = _world(folder)
    guides = files.annotations("rxr", "train").read_text().splitlines()
    metrics = {"ne": 0, "sr": 1.0, "spl": 0.9, "dtw": 1.5, "ndtw": 0.9, "sdtw": 0.9}
    walks = [
        {
            "demonstration_id": number,
            "instruction_id": guide["instruction_id"],
            "annotator_id": 43,
            "path": guide["path"],
            "metrics": metrics,
        }
        for number, guide in enumerate(map(json.loads, guides))
    ]
    path = _lines(folder / "rxr" / "rxr_train_follower.jsonl", walks)
    return path, lambda: load_demonstrations("train", files)


def _submission(folder: Path, packed: bool) -> Sample:
    from envs.submissions.scores import ScoringRules, load_ground, score_submission

    files = _world(folder)
    rules = ScoringRules(split=("train",), data_dir=folder, resamples=10)
    ground = load_ground(rules)
    records = [
        {"instr_id": f"{one['path_id']}_{k}", "trajectory": [[v, 0.1, 0.0] for v in one["path"]]}
        for one in json.loads(files.annotations("r2r", "train").read_text())
        for k in range(2)
    ]
    path = _json(folder / "walks.json", records, packed)
    return path, lambda: score_submission(path, ground, rules)


def submission(folder: Path) -> Sample:
    return _submission(folder, packed=False)


def submission_packed(folder: Path) -> Sample:
    return _submission(folder, packed=True)


def _whole(path: Path, **options: Any) -> object:
    from storage.features.store import FeatureStore

    store = FeatureStore.open(path, **options)
    return store.take(np.arange(len(store)))


def store(folder: Path) -> Sample:
    from storage.features.store import FeatureStore

    path = folder / "store.safetensors"
    FeatureStore.write(path, _views(), KEYS, {"encoder": "test"})
    return path, lambda: _whole(path)


def store_in_shards(folder: Path) -> Sample:
    from storage.features.shards import Shard
    from storage.features.store import FeatureStore

    path = folder / "store.safetensors"
    shards = [Shard(index, 2).path(path) for index in range(2)]
    for number, shard in enumerate(shards):
        keys = [f"{key}{number}" for key in KEYS]
        FeatureStore.write(shard, _views(), keys, {"encoder": "test"})
    return shards[1], lambda: _whole(path)


def _features(folder: Path, suffix: str) -> Sample:
    from storage.features.formats import read_features, write_features

    path = folder / f"features{suffix}"
    write_features(path, KEYS, _views(), {})
    return path, lambda: list(read_features(path).rows)


def features_tsv(folder: Path) -> Sample:
    return _features(folder, ".tsv")


def features_hdf5(folder: Path) -> Sample:
    return _features(folder, ".hdf5")


def features_hdf5_packed(folder: Path) -> Sample:
    import h5py

    path, read = _features(folder, ".h5")
    with h5py.File(path, "w") as file:
        for key, row in zip(KEYS, _views(), strict=True):
            file.create_dataset(key, data=row, compression="gzip", chunks=True)
    return path, read


def features_lmdb(folder: Path) -> Sample:
    return _features(folder, ".lmdb")


def features_lmdb_packed(folder: Path) -> Sample:
    import lmdb
    import msgspec

    path, read = _features(folder, ".lmdb")
    path.unlink()
    with lmdb.open(str(path), subdir=False, lock=False, map_size=1 << 24) as environment:
        with environment.begin(write=True) as transaction:
            for number in range(60):
                row = _views()[number % 3].astype("f4")
                fields = {b"nd": True, b"type": row.dtype.str, b"shape": row.shape, b"kind": b""}
                packed = msgspec.msgpack.encode({**fields, b"data": row.tobytes()})
                transaction.put(f"attic_a{number}".encode(), packed)
    return path, read


def partial_store(folder: Path) -> Sample:
    from storage.features.partial_store import PartialStore

    def start() -> PartialStore:
        return PartialStore(folder / "store.safetensors", KEYS, 8, {"encoder": "test"})

    def resume() -> None:
        started = start()
        try:
            for row in _views()[started.done :]:
                started.append(row)
            started.write_store()
        finally:
            started.close()

    first = start()
    for row in _views():
        first.append(row)
    first.close()
    return first.path, resume


def vocabulary(folder: Path) -> Sample:
    from agents.acting.tokenizers import load_tokenizer
    from envs.episodes.tokenizer import WordTokenizer

    path = folder / "vocabulary.json"
    WordTokenizer(WORDS).save(path)
    return path, lambda: load_tokenizer(path)


def vocabulary_of_pieces(folder: Path) -> Sample:
    from agents.acting.tokenizers import SubwordTokenizer, load_tokenizer

    path = folder / "vocabulary.json"
    SubwordTokenizer.build(SENTENCES, 60).save(path)
    return path, lambda: load_tokenizer(path).encode(SENTENCES[0], 20)


def vocabulary_of_tasks(folder: Path) -> Sample:
    from vl_tasks.text.vocabulary import Vocabulary

    path = folder / "words.json"
    Vocabulary(["red", "sofa", "door", "left"]).save(path)
    return path, lambda: Vocabulary.load(path)


def answers_json(folder: Path) -> Sample:
    from vl_tasks.vqa.answers import AnswerVocabulary

    path = _json(folder / "answers.json", {f"answer {i}": i for i in range(9)})
    return path, lambda: AnswerVocabulary.load(path)


def answers_text(folder: Path) -> Sample:
    from vl_tasks.vqa.answers import AnswerVocabulary

    path = folder / "answers.txt"
    path.write_text("".join(f"answer {i}\n" for i in range(9)))
    return path, lambda: AnswerVocabulary.load(path)


def config(folder: Path) -> Sample:
    from agents.configs import TrainConfig
    from training.settings import CONFIG, read_config, to_json

    path = folder / CONFIG
    path.write_text(to_json(TrainConfig()))
    return path, lambda: read_config(folder, TrainConfig)


def metrics(folder: Path) -> Sample:
    from training.checkpoints import METRICS
    from training.log import read_log

    events = [{"kind": "train", "iteration": i, "loss": 0.1 * i} for i in range(20)]
    path = _lines(folder / METRICS, [*events, {"kind": "a", "iteration": 21, "x": float("nan")}])
    return path, lambda: read_log(folder)


def trainer(folder: Path) -> Sample:
    import torch

    from training.checkpoints import TRAINER, load_trainer, save_trainer

    network = torch.nn.Linear(4, 3)
    state = {"network": network.state_dict(), "iteration": 7, "notes": {"a": [1, 2.5, "b"]}}
    save_trainer(folder, state)
    return folder / TRAINER, lambda: load_trainer(folder)


def model(folder: Path) -> Sample:
    import torch

    from training.checkpoints import MODEL, load_model, save_model

    network: Any = torch.nn.Linear(4, 3)
    network.widths = {"visual width": "4"}
    save_model(folder, network, {"encoder": "a"})
    return folder / MODEL, lambda: load_model(folder, network, {"encoder": "a"})


def _trace(packed: bool) -> bytes:
    from viewer.trace.format import Candidate, Step, Trace, trace_json

    around = tuple(Candidate(f"a{i}", 0.1 * i, 0.0, -0.4, 2.0, 0.25) for i in range(3))
    steps = (
        Step("a0", 0.0, 0.0, around, 2, 3.5, {"ne": 3.5}, 0.25, 0.1, (0.5,) * 7, (0.1,) * 36),
        Step("a1", 0.5, 0.0, around, 0, 0.0, {"ne": 0.0}, 0.25),
    )
    words = ("Walk ", "past ", "the ", "red ", "sofa.")
    trace = Trace(
        agent="follower",
        world="matterport",
        dataset="r2r",
        split="train",
        instr_id="100_0",
        path_id=100,
        scan="attic",
        path=("a0", "a1"),
        heading=0.0,
        instruction="".join(words),
        language="en",
        words=words,
        steps=steps,
        ending="stopped",
    )
    raw = trace_json(trace) + b"\n"
    return gzip.compress(raw, mtime=0) if packed else raw


def _traces(folder: Path, packed: bool) -> Sample:
    from viewer.site.opening import kind_of
    from viewer.trace.format import read_traces

    path = folder / "100_0.json"
    path.write_bytes(_trace(packed))
    return path, lambda: (kind_of(path), read_traces(path))


def traces(folder: Path) -> Sample:
    return _traces(folder, packed=False)


def traces_packed(folder: Path) -> Sample:
    return _traces(folder, packed=True)


def _questions(folder: Path) -> tuple[Path, Path]:
    questions = [{"question_id": i, "image_id": i // 2, "question": "What?"} for i in range(6)]
    annotations = [
        {**one, "answers": [{"answer": "yes"}] * 3, "answer_type": "yes/no"} for one in questions
    ]
    return (
        _json(folder / "questions.json", {"questions": questions}),
        _json(folder / "annotations.json", {"annotations": annotations}),
    )


def vqa_questions(folder: Path) -> Sample:
    from vl_tasks.data.questions import read_questions

    path, annotations = _questions(folder)
    return path, lambda: (read_questions(path), read_questions(path, annotations))


def vqa_annotations(folder: Path) -> Sample:
    from vl_tasks.data.questions import read_questions

    questions, path = _questions(folder)
    return path, lambda: read_questions(questions, path)


def vqa_submission(folder: Path) -> Sample:
    from vl_tasks.data.questions import read_questions
    from vl_tasks.vqa.submissions import read_submission, read_sure_submission

    questions = read_questions(_questions(folder)[0])
    answers = [{"question_id": i, "answer": "yes", "confidence": 0.5} for i in range(6)]
    path = _json(folder / "answers.json", answers)
    return path, lambda: (
        read_submission(path, questions),
        read_sure_submission(path, questions),
    )


def easy_vqa(folder: Path) -> Sample:
    from PIL import Image

    from vl_tasks.data.easy_vqa import convert_easy_vqa

    (folder / "train" / "images").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(folder / "train" / "images" / "0.png")
    rows = [["is there a circle?", "yes", 0], ["what shape is it?", "circle", 0]] * 4
    path = _json(folder / "train" / "questions.json", rows)
    return path, lambda: convert_easy_vqa(folder / "out", folder, ["train"])


def hypotheses(folder: Path) -> Sample:
    from vl_tasks.data.pairs import read_hypotheses

    records = [
        {"Flickr30K_ID": str(i), "pairID": f"{i}.jpg#0r1n", "sentence2": "A dog.", "gold_label": g}
        for i, g in enumerate(["neutral", "entailment", "contradiction", "-"] * 2)
    ]
    path = _lines(folder / "snli_ve_train.jsonl", records)
    return path, lambda: read_hypotheses(path)


def gqa_questions(folder: Path) -> Sample:
    from vl_tasks.vqa.gqa import read_gqa_questions

    question = {
        "question": "What colour is the sofa?",
        "answer": "red",
        "isBalanced": True,
        "types": {"structural": "query", "semantic": "attr", "detailed": "colour"},
        "groups": {"global": "colour", "local": "sofa"},
        "semantic": [{"operation": "select", "argument": "sofa", "dependencies": []}],
        "entailed": ["1"],
    }
    path = _json(folder / "questions.json", {str(i): question for i in range(5)})
    return path, lambda: read_gqa_questions(path)


def gqa_choices(folder: Path) -> Sample:
    from vl_tasks.vqa.gqa import read_gqa_choices

    choices = {str(i): {"valid": ["red", "blue"], "plausible": ["red"]} for i in range(9)}
    path = _json(folder / "choices.json", choices)
    return path, lambda: read_gqa_choices(path)


def gqa_predictions(folder: Path) -> Sample:
    from vl_tasks.vqa.gqa import read_gqa_predictions, read_gqa_questions

    questions = read_gqa_questions(gqa_questions(folder)[0])
    path = _json(
        folder / "predictions.json", [{"questionId": str(i), "prediction": "red"} for i in range(5)]
    )
    return path, lambda: read_gqa_predictions(path, questions)


def captions(folder: Path) -> Sample:
    from vl_tasks.captioning.results import read_any_references
    from vl_tasks.data.captions import read_captions

    images = [
        {
            "filepath": "train2014",
            "filename": f"COCO_train2014_{i:012d}.jpg",
            "cocoid": i,
            "split": "train",
            "sentences": [{"tokens": ["a", "red", "sofa"], "raw": "A red sofa."}],
        }
        for i in range(6)
    ]
    path = _json(folder / "dataset_coco.json", {"images": images})
    return path, lambda: (read_captions(path, "train"), read_any_references(path))


def caption_references(folder: Path) -> Sample:
    from vl_tasks.captioning.results import read_any_references

    rows = [{"image_id": i // 2, "id": i, "caption": "A red sofa."} for i in range(8)]
    path = _json(folder / "captions_val2014.json", {"annotations": rows})
    return path, lambda: read_any_references(path)


def caption_results(folder: Path) -> Sample:
    from vl_tasks.captioning.results import read_results

    rows = [{"image_id": i, "caption": "A red sofa."} for i in range(8)]
    path = _json(folder / "results.json", rows)
    return path, lambda: read_results(path)


def caption_statistics(folder: Path) -> Sample:
    from vl_tasks.captioning.cider import CiderD

    rows = np.random.default_rng(0).integers(1, 9, (6, 5)).astype(np.int32)
    path = folder / "cider.safetensors"
    CiderD.build(rows, np.array([0, 2, 4, 6]), 9).save(path, "words")
    return path, lambda: CiderD.load(path, "words")


def glove(folder: Path) -> Sample:
    from vl_tasks.text.glove import read_glove
    from vl_tasks.text.vocabulary import Vocabulary

    words = Vocabulary(["red", "sofa", "door", "left"])
    path = folder / "glove.6B.5d.txt"
    path.write_text("".join(f"{word} 0.1 -0.25 0.5 1 2\n" for word in (*words.words, "lamp")))
    return path, lambda: read_glove(path, words)


def _picture(folder: Path, name: str, **options: Any) -> Sample:
    from PIL import Image

    from vl_tasks.data.images import read_image

    path = folder / name
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path, **options)
    return path, lambda: read_image(path)


def picture_jpeg(folder: Path) -> Sample:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # lies on its side
    return _picture(folder, "picture.jpg", exif=exif)


def picture_jpeg_progressive(folder: Path) -> Sample:
    return _picture(folder, "picture.jpeg", progressive=True, optimize=True)


def picture_png(folder: Path) -> Sample:
    return _picture(folder, "picture.png")


def skybox(folder: Path) -> Sample:
    from PIL import Image

    from envs.panoramas.skyboxes import read_skybox, skybox_dir

    directory = skybox_dir(folder, "attic")
    directory.mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 256, (16, 96, 3), dtype=np.uint8)
    path = directory / "a0_skybox_small.jpg"
    Image.fromarray(noise).save(path)
    return path, lambda: read_skybox(folder, "attic", "a0")


def skybox_depth(folder: Path) -> Sample:
    from PIL import Image

    from envs.panoramas.skyboxes import depth_file, read_depth

    path = depth_file(folder, "attic", "a0")
    path.parent.mkdir(parents=True)
    Image.fromarray(np.arange(16 * 96, dtype=np.uint16).reshape(16, 96)).save(path)
    return path, lambda: read_depth(folder, "attic", "a0")


def _house(folder: Path) -> Callable[[], object]:
    from envs.houses.building.house import House, HouseSpec, load_house, plan_of, save_house
    from envs.houses.meshes.scene import ObjectInfo, Scene

    rng = np.random.default_rng(0)
    objects = tuple(
        ObjectInfo(i, "sofa", "red", "", 0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)) for i in range(2)
    )
    scene = Scene(
        positions=rng.random((6, 3), np.float32),
        normals=np.tile(np.array([0, 0, 1], np.float32), (6, 1)),
        uvs=rng.random((6, 2), np.float32),
        colours=rng.random((6, 3), np.float32),
        faces=np.arange(6, dtype=np.int32).reshape(2, 3),
        face_object=np.array([0, 1], np.int32),
        face_texture=np.array([0, 1], np.int32),
        textures=tuple(rng.integers(0, 256, (2, 8, 8, 3)).astype(np.uint8)),
        texture_names=("cloth", "wood"),
        objects=objects,
    )
    spec = HouseSpec("attic", 3, 4)
    save_house(House(spec, plan_of(spec), scene), folder)
    return lambda: load_house("attic", folder)


def house_glb(folder: Path) -> Sample:
    return folder / "attic.glb", _house(folder)


def house_side_file(folder: Path) -> Sample:
    return folder / "attic.json", _house(folder)


def checksums(folder: Path) -> Sample:
    from storage.checksums import Checksums

    seen = Checksums(folder)
    for name in "abc":
        seen.record(name, name * 64, f"https://example.org/{name}")
    return seen.path, lambda: Checksums(folder)


def archive(folder: Path) -> Sample:
    import zipfile

    from storage.archives import unpack_zip

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


def grid_cache(folder: Path) -> Sample:
    from vl_tasks.grids.grid_cache import GridCache

    grids = np.random.default_rng(0).standard_normal((3, 2, 2, 4)).astype(np.float16)
    GridCache(folder, "clip").add(KEYS, grids, np.ones((3, 2, 2), bool))
    return folder / "00000.safetensors", lambda: GridCache(folder, "clip").read(KEYS)


def graph_cache(folder: Path) -> Sample:
    from envs.graphs.graph_cache import read_tables, write_tables

    path = folder / "attic.tables"
    write_tables(path, {"positions": np.zeros((3, 3)), "edges": np.zeros((2, 4), int)})
    return path, lambda: read_tables(path)


READERS: dict[str, Callable[[Path], Sample]] = {
    reader.__name__: reader
    for reader in (
        *(connectivity, scans, r2r, r4r, rxr, rxr_packed, joined_paths, demonstrations),
        *(submission, submission_packed, store, store_in_shards, features_tsv, features_hdf5),
        *(features_hdf5_packed, features_lmdb, features_lmdb_packed, partial_store, vocabulary),
        *(vocabulary_of_pieces, vocabulary_of_tasks, answers_json, answers_text, config, metrics),
        *(trainer, model, traces, traces_packed, vqa_questions, vqa_annotations, vqa_submission),
        *(easy_vqa, hypotheses, gqa_questions, gqa_choices, gqa_predictions, captions),
        *(caption_references, caption_results, caption_statistics, glove, picture_jpeg),
        *(picture_jpeg_progressive, picture_png, skybox, skybox_depth, house_glb, house_side_file),
        *(checksums, archive, grid_cache, graph_cache),
    )
}
# Each reading starts a process.
SLOW = ("features_hdf5", "features_hdf5_packed")
