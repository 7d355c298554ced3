"""Fixtures: a small world of rooms with a coloured door on each side, and runs in it."""

import dataclasses
import gzip
import json
from functools import cache

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from clipnav.agents.acting.environments import make_env
from clipnav.agents.clear.objects import OBJECTS_FILE, write_objects
from clipnav.agents.clear.pair_files import pair_paths
from clipnav.agents.clear.settings import (
    LanguageConfig,
    LanguageEncoderConfig,
    PairPathsConfig,
    VisualConfig,
)
from clipnav.agents.clear.training import train as train_representation
from clipnav.agents.envdrop.settings import SpeakerTrainConfig, TrainConfig
from clipnav.agents.envdrop.speaker_training import train_speaker
from clipnav.agents.maps.geometry import MapGeometry
from clipnav.agents.settings import FollowerConfig, SpeakerConfig
from clipnav.envs.continuous.episodes import split_of_episodes
from clipnav.envs.graphs.nav_graph import NavGraph
from clipnav.envs.graphs.nav_world import NavWorld
from clipnav.envs.tokenizers import WordTokenizer
from clipnav.storage.features.objects import Objects
from clipnav.storage.features.objects import write_objects as write_object_store
from clipnav.storage.features.opening import open_store
from clipnav.storage.features.store import FeatureStore
from clipnav.training.optimiser_settings import OptimiserConfig
from tests.conftest import connectivity_records
from tests.envs.continuous.conftest import box_episodes

COLOURS = ("red", "green", "blue", "white")
LANGUAGES = {
    "en-IN": ("Walk up to the {} door and stop there.", COLOURS),
    "hi-IN": ("{} दरवाज़े तक जाएँ और वहाँ रुकें।", ("लाल", "हरे", "नीले", "सफ़ेद")),
    "te-IN": ("{} తలుపు దగ్గరకు వెళ్లి అక్కడ ఆగండి.", ("ఎరుపు", "ఆకుపచ్చ", "నీలం", "తెలుపు")),
}
TRAIN_SCANS = [f"room{number}" for number in range(8)]
SCANS = {"train": TRAIN_SCANS, "val_seen": TRAIN_SCANS[:2], "val_unseen": ["other0", "other1"]}


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """Use one thread; more slow small networks down, up to a hundredfold on a busy machine."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def geometry_of(shared):
    """Function that returns the geometry of real scans."""

    @cache
    def make(*scans):
        folder = shared / "data" / "matterport" / "connectivity"
        return MapGeometry.of(NavWorld([NavGraph.load(scan, folder) for scan in scans]))

    return make


@pytest.fixture(scope="session")
def doors(tmp_path_factory):
    """Data folder: per scan a centre `c` and doors 4 m to the north, east, south and west.

    The colours of the doors differ between scans, so that the goal depends on the instruction and
    on the views. Features: four numbers per view, one for each colour.
    """
    folder = tmp_path_factory.mktemp("doors")
    connectivity = folder / "matterport" / "connectivity"
    connectivity.mkdir(parents=True)
    (folder / "r2r").mkdir()
    (folder / "rxr").mkdir()
    rng = np.random.default_rng(0)
    colours = {scan: rng.permutation(4) for scans in SCANS.values() for scan in scans}
    (connectivity / "scans.txt").write_text("\n".join(colours) + "\n")
    for scan in colours:
        write_room(connectivity, scan)
    for number, (split, scans) in enumerate(SCANS.items()):
        records = [
            record(scan, door, colours[scan][door], 1000 * number + 4 * index + door)
            for index, scan in enumerate(scans)
            for door in range(4)
        ]
        (folder / "r2r" / f"R2R_{split}.json").write_text(json.dumps(records))
        guides = [guide for record in records for guide in guide_records(record, colours)]
        lines = "".join(json.dumps(guide, ensure_ascii=False) + "\n" for guide in guides)
        path = folder / "rxr" / f"rxr_{split}_guide.jsonl"
        path.write_text(lines, encoding="utf-8")
    write_features(folder / "features.safetensors", colours)
    return folder


def write_room(connectivity, scan):
    places = {"c": (0, 0), "0": (0, 4), "1": (4, 0), "2": (0, -4), "3": (-4, 0)}
    records = connectivity_records(
        {f"{scan}-{name}": (*place, 1.5) for name, place in places.items()},
        {(f"{scan}-c", f"{scan}-{door}") for door in range(4)},
    )
    (connectivity / f"{scan}_connectivity.json").write_text(json.dumps(records))


def record(scan, door, colour, path_id):
    return {
        "scan": scan,
        "path_id": path_id,
        "path": [f"{scan}-c", f"{scan}-{door}"],
        "heading": float(path_id % 12) * np.pi / 6,
        "distance": 4.0,
        "instructions": [
            f"Go to the {COLOURS[colour]} door.",
            f"Walk up to the door that is {COLOURS[colour]} and stop there.",
            f"The {COLOURS[colour]} one.",
        ],
    }


def guide_records(record, colours):
    """Yield guide records of a path in three languages."""
    door = int(record["path"][-1][-1])
    colour = colours[record["scan"]][door]
    for number, (language, (sentence, names)) in enumerate(LANGUAGES.items()):
        yield {
            "instruction_id": 3 * record["path_id"] + number,
            "language": language,
            "instruction": sentence.format(names[colour]),
            **{name: record[name] for name in ("path_id", "scan", "path", "heading")},
        }


def write_features(path, colours):
    keys, views = [], []
    for scan, order in colours.items():
        centre = np.zeros((36, 4))
        for door in range(4):
            for band in range(3):
                centre[12 * band + 3 * door, order[door]] = 1.0
        keys += [f"{scan}_{scan}-{name}" for name in "c0123"]
        views += [centre, *[np.zeros((36, 4))] * 4]
    FeatureStore.write(path, np.stack(views), keys, {"encoder": "colours"})


VASES = 3  # seen from each door


@pytest.fixture(scope="session")
def vases(doors):
    """Files of REVERIE in the world of the doors: three vases of other colours at each door.

    An instruction names the colours of a door and of a vase. The vases of a door are also seen from
    the next door, without their colours, so that a goal has two ends.
    """
    rng = np.random.default_rng(1)
    keys = open_store(doors / "features.safetensors").keys
    folder = doors / "reverie"
    folder.mkdir()
    of_doors = {}  # colours of the vases of each scan and door
    for scan in dict.fromkeys(scan for scans in SCANS.values() for scan in scans):
        of_doors[scan] = {door: rng.permutation(4)[:VASES] for door in range(4)}
    boxes, objects = {}, []
    for key in keys:
        scan, _, viewpoint = key.partition("_")
        name = viewpoint.removeprefix(f"{scan}-")
        seen = []  # id, and features
        if name != "c":
            for door in (int(name), (int(name) - 1) % 4):
                for number, colour in enumerate(of_doors[scan][door]):
                    shown = np.eye(4)[colour] * (door == int(name))
                    seen.append((str(10 * door + number), shown))
        boxes[key] = {
            number: {"name": "vase", "visible_pos": [12], "bbox2d": [[1, 2, 30, 40]]}
            for number, _ in seen
        }
        order = rng.permutation(len(seen))
        ids = [seen[i][0] for i in order]
        shape = (len(seen), 4) if seen else (0, 4)
        shown = np.array([seen[i][1] for i in order]).reshape(shape)
        angles, sizes = rng.uniform(-1, 1, (len(seen), 2)), rng.uniform(0.1, 1, (len(seen), 2))
        objects.append(Objects(ids, ["vase"] * len(ids), shown, angles, sizes))
    (folder / "BBoxes.json").write_text(json.dumps(boxes))
    write_object_store(folder / "objects.safetensors", keys, objects, {"encoder": "colours"})
    for split in SCANS:
        items = []
        for number, item in enumerate(
            json.loads((doors / "r2r" / f"R2R_{split}.json").read_text())
        ):
            door = int(item["path"][-1][-1])
            for vase, colour in enumerate(of_doors[item["scan"]][door]):
                path_id = 100 * item["path_id"] + number
                text = f"{item['instructions'][0]} Take the {COLOURS[colour]} vase."
                target = 10 * door + vase
                own = {"instructions": [text], "objId": target, "path_id": path_id}
                items.append({**item, **own, "id": f"{path_id}_{target}"})
        (folder / f"REVERIE_{split}.json").write_text(json.dumps(items))
    return doors


@pytest.fixture(scope="session")
def other_features(doors, tmp_path_factory):
    """The same features with the metadata of another encoder."""
    store = open_store(doors / "features.safetensors")
    path = tmp_path_factory.mktemp("other") / "other.safetensors"
    FeatureStore.write(path, store.views[:], store.keys, {"encoder": "shades"})
    return path


@pytest.fixture(scope="session")
def doors_run(doors):
    """Settings of all small runs in that world."""
    return {
        "world": "matterport",
        "data_dir": doors,
        "features": doors / "features.safetensors",
        "angle_feature_size": 4,
        "max_episode_steps": 6,
        "batch_size": 16,
        "evaluate_every": 1000,
        "threads": 1,
    }


@pytest.fixture(scope="session")
def speaker_config(doors_run):
    """Settings of a speaker that learns the colours of the doors within seconds."""
    return SpeakerTrainConfig(
        **doors_run,
        iterations=150,
        speaker=SpeakerConfig(embedding_size=16, hidden_size=32, dropout=0.1, feature_dropout=0.0),
        optimiser=OptimiserConfig(name="adam", learning_rate=1e-2, schedule="cosine"),
    )


@pytest.fixture(scope="session")
def speaker_run(speaker_config, tmp_path_factory):
    """Run of a speaker in that world after few iterations."""
    run = tmp_path_factory.mktemp("speaker") / "run"
    config = dataclasses.replace(
        speaker_config,
        iterations=40,
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        output=run,
    )
    train_speaker(config)
    return run


@pytest.fixture(scope="session")
def language_config(doors):
    """Settings of a small language representation in the world of coloured doors."""
    return LanguageConfig(
        world="matterport",
        data_dir=doors,
        iterations=150,
        batch_size=8,
        temperature=0.1,
        evaluate_every=50,
        threads=1,
        max_instruction_length=24,
        encoder=LanguageEncoderConfig(
            vocabulary_size=300,
            hidden_size=32,
            layers=1,
            heads=2,
            feed_forward_size=64,
            dropout=0.0,
        ),
        optimiser=OptimiserConfig(learning_rate=3e-3, clip="norm", clip_at=5.0),
    )


@pytest.fixture(scope="session")
def language_run(language_config, tmp_path_factory):
    """Run of a language representation that has learned the colours."""
    run = tmp_path_factory.mktemp("language") / "run"
    train_representation(dataclasses.replace(language_config, output=run))
    return run


@pytest.fixture(scope="session")
def paired_folder(doors, language_run, tmp_path_factory):
    """Folder of paired paths of that world, with random objects."""
    folder = tmp_path_factory.mktemp("pairs")
    pair_paths(PairPathsConfig(language_run, folder, "matterport", doors))
    rng = np.random.default_rng(0)
    keys = json.loads((doors / "r2r" / "R2R_train.json").read_text())
    scans = sorted({record["scan"] for record in keys})
    write_objects(
        folder / OBJECTS_FILE,
        {s: {f"{s}-{v}": rng.random((36, 27)) < 0.2 for v in "c0123"} for s in scans},
    )
    return folder


@pytest.fixture(scope="session")
def visual_config(doors, paired_folder):
    """Settings of a small visual representation in that world."""
    return VisualConfig(
        world="matterport",
        data_dir=doors,
        features=doors / "features.safetensors",
        pairs=paired_folder,
        iterations=6,
        batch_size=8,
        evaluate_every=3,
        threads=1,
        optimiser=OptimiserConfig(learning_rate=1e-2),
    )


@pytest.fixture(scope="session")
def visual_run(visual_config, tmp_path_factory):
    """Run of a visual representation."""
    run = tmp_path_factory.mktemp("visual") / "run"
    train_representation(dataclasses.replace(visual_config, output=run))
    return run


@pytest.fixture
def doors_config(doors_run, tmp_path):
    """Settings of a small run in that world."""
    return TrainConfig(
        **doors_run,
        iterations=60,
        output=tmp_path / "run",
        follower=FollowerConfig(
            embedding_size=16, hidden_size=32, action_size=4, dropout=0.1, feature_dropout=0.0
        ),
        optimiser=OptimiserConfig(name="adam", learning_rate=2e-2, schedule="cosine"),
    )


@pytest.fixture
def doors_env(doors_config):
    """Environment of the training split of that world."""
    return make_env(doors_config, "train")


@pytest.fixture
def small_config(doors_config):
    """Settings of a run of a few iterations."""
    return dataclasses.replace(
        doors_config,
        iterations=6,
        batch_size=8,
        evaluation_splits=("val_unseen",),
        select_by="val_unseen",
        follower=dataclasses.replace(doors_config.follower, feature_dropout=0.3),
    )


@pytest.fixture
def split_of_boxes():
    """Split of four continuous episodes in two little buildings, with one instruction each."""
    episodes = box_episodes()
    tokenizer = WordTokenizer.build([episode.instruction for episode in episodes], min_count=1)
    return split_of_episodes("r2r", episodes, tokenizer, 12)


@pytest.fixture(scope="session")
def golden(golden_systems):
    """Function that reads a golden file by its name without its ending, such as "duet_teacher"."""

    def read(name):
        if name.endswith(".safetensors"):
            return load_file(golden_systems / name)
        if name.endswith(".gz"):
            return json.loads(gzip.decompress((golden_systems / name).read_bytes()))
        return json.loads((golden_systems / name).read_text(encoding="utf-8"))

    if not (golden_systems / "duet_teacher.json").is_file():
        pytest.skip(f"{golden_systems}: golden data of DUET and HAMT not found")
    return cache(read)


@pytest.fixture
def convert_agent(run_command, doors_run, tiny_bert, tmp_path):
    """Function that converts a checkpoint of "duet" or "hamt" and returns the folder of the run."""

    def run(model, checkpoint, *flags):
        data = "--data-dir", doors_run["data_dir"], "--features", doors_run["features"]
        output = tmp_path / model
        arguments = "--weights", checkpoint, "--bert", tiny_bert, "--output", output
        run_command("convert-agent", "--model", model, *arguments, "--heads", "2", *data, *flags)
        return output

    return run
