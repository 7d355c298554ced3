"""Every preset gives the settings in presets.json, value by value.

`python -m tests.agents.settings.test_presets` writes the file again, for a new preset; compare its
changes with the paper.
"""

import json
import typing
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, get_args

import pytest

from clipnav.agents.acting.tokenizers import make_tokenizer
from clipnav.agents.clear.settings import language_defaults, visual_defaults
from clipnav.agents.continuous.settings import continuous_defaults
from clipnav.agents.duet.settings import map_preset, pretraining_preset
from clipnav.agents.envdrop.settings import preset, speaker_preset
from clipnav.agents.etpnav.settings import etpnav_preset
from clipnav.agents.frontier.settings import frontier_preset
from clipnav.agents.hamt.settings import history_preset
from clipnav.envs.datasets import dataset_spec
from clipnav.envs.episodes import load_episodes
from clipnav.envs.worlds import world_files
from clipnav.training.run_settings import read_presets
from clipnav.training.settings import flattened, to_json

GOLDEN = Path(__file__).with_name("presets.json")
DATASETS = ("r2r", "rxr", "r4r")
WORLDS = ("houses", "houses-standard", "matterport")
CONTINUED = {"continued": True}
TRANSLATED = {"translated": True}
# name: function, and the options with which it is called beside dataset, world and preset.
MAKERS: dict[str, tuple[Any, list[dict[str, bool]]]] = {
    "follower": (preset, [{}, CONTINUED, TRANSLATED, CONTINUED | TRANSLATED]),
    "speaker": (speaker_preset, [{}]),
    "frontier": (frontier_preset, [{}, CONTINUED, CONTINUED | {"reinforced": True}]),
    "map": (map_preset, [{}]),
    "pretraining": (pretraining_preset, [{}]),
    "hamt": (history_preset, [{}]),
    "etpnav": (etpnav_preset, [{}]),
    "continuous": (continuous_defaults, [{}]),
    "language": (lambda _, *given: language_defaults(*given), [{}]),
    "visual": (lambda _, *given: visual_defaults(*given), [{}]),
}


def names_of_presets(kind: Any) -> tuple[str | None, ...]:
    names, _none = get_args(typing.get_type_hints(kind)["preset"])
    return None, *get_args(names)


def made(training: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the name and the settings of each combination, world excepted."""
    make, options = MAKERS[training]
    is_continuous = training in ("etpnav", "continuous")
    datasets, worlds = (DATASETS[:2], WORLDS[:2]) if is_continuous else (DATASETS, WORLDS)
    names = names_of_presets(type(make("r2r", "houses")))
    for dataset, world, name, option in product(datasets, worlds, names, options):
        if name == "clear" and (training == "speaker" or "translated" in option):
            with pytest.raises(ValueError, match="--preset clear has no"):
                make(dataset, world, name, **option)
            continue
        settings = flattened(json.loads(to_json(make(dataset, world, name, **option))))
        assert settings.pop("world") == world
        del settings["command"]
        yield " ".join([dataset, world, str(name), *option]), settings


def recorded(training: str) -> dict[str, Any]:
    """Return the settings of the first combination, and what the others change."""
    (_, first), *_ = rows = list(made(training))
    names: dict[str, list[str]] = {}
    for name, settings in rows:
        changes = {key: value for key, value in settings.items() if value != first[key]}
        names.setdefault(json.dumps(changes), []).append(name)
    return {
        "settings": first,
        "changes": [[*named, json.loads(key)] for key, named in names.items()],
    }


@pytest.mark.parametrize("training", MAKERS)
def test_presets_give_the_recorded_settings(training):
    golden = json.loads(GOLDEN.read_text("utf-8"))[training]
    expected = {
        name: golden["settings"] | changes
        for *names, changes in golden["changes"]
        for name in names
    }
    found = dict(made(training))
    assert found.keys() == expected.keys()
    for name, settings in found.items():
        assert settings == expected[name], name


def test_default_limits_suffice_for_rxr_in_the_houses():
    config = preset("rxr", "houses")
    assert config.max_episode_steps is None
    tokenizer = make_tokenizer(config)
    for split in ("train", "val_seen", "val_unseen"):
        episodes = load_episodes("rxr", split, world_files("houses"))
        longest = max(len(episode.path) - 1 for episode in episodes)
        # As R2R, with 20 steps for 7 edges, and EnvDrop: room to get lost and come back.
        assert dataset_spec("rxr").max_episode_steps >= 2.5 * longest
        words = max((episode.instruction for episode in episodes), key=len)
        assert tokenizer.encode(words, 1_000).astype(bool).sum() <= config.max_instruction_length


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bathc_size = 3", "missing or unknown settings bathc_size"),
        ("optimiser.rate = 3.0", "optimiser: missing or unknown settings rate"),
        ('batch_size = "many"', "batch_size is many: Expected"),
    ],
)
def test_mistakes_in_a_file_are_refused(text, message, tmp_path):
    (tmp_path / "presets.toml").write_text(f"[[defaults]]\n{text}\n")
    with pytest.raises(ValueError, match=message):
        read_presets(preset("r2r", "houses"), tmp_path / "presets.toml", "defaults")


if __name__ == "__main__":
    rows = {training: recorded(training) for training in MAKERS}
    lines = [
        f'"{training}": {{"settings": {json.dumps(row["settings"])}, "changes": [\n'
        + ",\n".join(map(json.dumps, row["changes"]))
        + "\n]}"
        for training, row in rows.items()
    ]
    GOLDEN.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
