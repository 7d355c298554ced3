"""Scripts of scripts/examples and all code blocks of the tutorials run.

Here they have few iterations and small worlds.
"""

import json
import re
import runpy
import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import clipnav
from clipnav.encoders.extraction.world_features import WorldViews
from clipnav.storage.features.opening import open_store
from tests.agents.language_models.servers import serving
from tests.conftest import ROOT
from tests.skyboxes import write_skyboxes

TUTORIALS = ROOT / "docs" / "tutorials"
EXAMPLES = ROOT / "scripts" / "examples"
# Arguments, and a text that the script prints.
SCRIPTS = {
    "first_steps": ((), "0.0 m to the goal"),
    "own_agent": (("2",), "96 unseen episodes: SR"),
    "own_prompt": ((), "Results: runs/vlm-rule-val_unseen"),
    "train_ppo": (("64",), "after 64 steps"),
}


def test_all_scripts_are_tested_and_named_on_a_page():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == {*SCRIPTS, "own_encoder"}
    page = (TUTORIALS / "first_steps.md").read_text("utf-8")
    assert [name for name in names if f"scripts/examples/{name}.py" not in page] == []


@pytest.mark.parametrize("name", SCRIPTS)
def test_an_example_runs(name, launcher, tmp_path, monkeypatch):
    arguments, printed = SCRIPTS[name]
    if name == "train_ppo":
        pytest.importorskip("sb3_contrib")
    script, log = EXAMPLES / f"{name}.py", tmp_path / "log.txt"
    # The process of the launcher has imported clipnav already, which registers the environments.
    assert re.search("^(import|from) clipnav", script.read_text("utf-8"), re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    process = launcher.start(script, [*arguments], {}, log)
    assert launcher.wait(process) == 0, log.read_text()
    assert printed in log.read_text()


@pytest.fixture
def run_tutorial(run_command, tmp_path, monkeypatch):
    """Function that runs all blocks of a tutorial in an empty folder.

    `changes` replaces texts of the blocks, and `flags` appends arguments to commands. It returns
    the variables of the Python blocks.
    """

    def run(name: str, changes: Mapping[str, str], flags: Mapping[str, list[str]]) -> dict:
        monkeypatch.chdir(tmp_path)
        page = (TUTORIALS / name).read_text("utf-8")
        blocks = re.findall(r"^```(python|bash)\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
        assert all(any(text in code for _, code in blocks) for text in changes)
        variables: dict = {"__name__": name}
        for kind, code in blocks:
            for text, replacement in changes.items():
                code = code.replace(text, replacement)
            if kind == "python":
                exec(compile(code, name, "exec"), variables)
                continue
            for line in code.replace("\\\n", " ").splitlines():
                program, command, *arguments = shlex.split(line)
                assert program == "clipnav"
                run_command(command, *arguments, *flags.get(command, []))
        return variables

    return run


@pytest.fixture
def skybox_world(tiny_world, tmp_path) -> Path:
    """Copy of the tiny world with skyboxes of all viewpoints, and the splits of the houses."""
    folder = shutil.copytree(tiny_world, tmp_path / "data")
    shutil.copy(folder / "r2r" / "R2R_train.json", folder / "r2r" / "R2R_val_seen.json")
    write_skyboxes(folder / "matterport" / "v1" / "scans")
    return folder


def test_the_example_of_an_encoder_runs(skybox_world, tmp_path, monkeypatch, capsys):
    def views(world: str, image_size: tuple[int, int], scans: tuple[str, ...]) -> WorldViews:
        return WorldViews("matterport", skybox_world, image_size=image_size)

    monkeypatch.setattr(clipnav, "WorldViews", views)
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(EXAMPLES / "own_encoder.py"))
    assert "looks most like" in capsys.readouterr().out
    assert len(open_store("own_features.safetensors")) == 16


def test_own_agent(run_tutorial, tiny_world):
    features = str(tiny_world / "features.safetensors")
    arguments = f'world="matterport", data_dir={str(tiny_world)!r}, features={features!r}'
    rules = f"clipnav.ScoringRules(data_dir={str(tiny_world)!r})"
    variables = run_tutorial(
        "own_agent.md",
        {
            'make_vec("R2R-CLIP-v0", ': f'make_vec("R2R-CLIP-v0", {arguments}, ',
            "num_envs=720": "num_envs=8",
            "num_envs=64": "num_envs=16",
            "range(240)": "range(20)",
            'score_submission("mine.json")': f'score_submission("mine.json", {rules})',
        },
        {},
    )
    episodes = variables["env"].episodes
    assert len(json.loads(Path("mine.json").read_text())) == len(episodes) == 8
    scored = variables["clipnav"].score_submission(
        "mine.json", variables["clipnav"].ScoringRules(data_dir=tiny_world)
    )
    assert not scored.checked.faulty
    assert scored.summary["episodes"] == 8
    losses = [
        variables["rollout"](variables["env"], policy, teacher_forced=True).item()
        for policy in (variables["policy"], untrained(variables))
    ]
    assert losses[0] < 0.9 * losses[1]


def untrained(variables: dict):
    """Policy with the weights before the training."""
    policy = variables["policy"]
    return type(policy)(policy.words.num_embeddings, policy.views.in_features)


def test_own_agent_is_short():
    page = (TUTORIALS / "own_agent.md").read_text("utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len([line for line in "".join(blocks).splitlines() if line.strip()]) <= 53


@pytest.mark.long
def test_own_encoder(run_tutorial, skybox_world):
    world = ["--world", "matterport", "--data-dir", str(skybox_world)]
    training = ["--batch-size", "4", "--iterations", "2", "--follower.hidden-size", "16"]
    arguments = f'"matterport", data_dir={str(skybox_world)!r}'
    variables = run_tutorial(
        "own_encoder.md",
        {
            'WorldViews("houses", image_size=(224, 224))': (
                f"WorldViews({arguments}, image_size=(32, 32))"
            ),
            "pretrained=True": "pretrained=False",
            'make("R2R-CLIP-v0", ': f'make("R2R-CLIP-v0", world={arguments}, ',
        },
        {
            "train-agent": [*world, *training],
            "compare-encoders": [
                *("--seeds", "1", "--splits", "val_seen", "val_unseen", *world, "--", *training)
            ],
        },
    )
    assert variables["images"].shape == (36, 32, 32, 3)
    assert Image.open("ahead.png").size == (32, 32)
    assert variables["observation"]["panorama"].shape == (36, 512 + 128)
    store = open_store("features/resnet18.safetensors")
    assert len(store) == 16  # without the excluded viewpoint
    expected = variables["encode"](variables["views"].read("barn", "b3"))
    np.testing.assert_allclose(
        store.take(np.array([store.row("barn", "b3")]))[0], expected, atol=1e-3
    )
    config = json.loads(Path("runs/resnet18/config.json").read_text())
    assert config["features"] == "features/resnet18.safetensors"
    report = json.loads(Path("runs/encoders/comparison.json").read_text())
    assert {"house_clip", "resnet18"} <= report["val_unseen"].keys()


def test_own_prompt(run_tutorial, skybox_world):
    def answer(body):
        content = body["messages"][1]["content"]
        assert any(part["type"] == "image_url" for part in content)
        text = "".join(part.get("text", "") for part in content)
        return json.dumps({"thought": "a sofa", "action": "stop" if "a sofa" in text else "B"})

    world = f'world="matterport", data_dir=Path({str(skybox_world)!r})'
    with serving(answer) as server:
        server.models = ["NAME"]
        variables = run_tutorial(
            "own_prompt.md",
            {
                "http://localhost:8000/v1": server.url,
                "episodes=24": f"episodes=4, cache=Path('cache'), {world}",
                "config = ": "from pathlib import Path\n\nconfig = ",
            },
            {},
        )
    assert variables["status"] == 0
    results = json.loads(Path("runs/vlm-NAME-matterport-val_unseen/results.json").read_text())
    assert results["answers"]["decisions"] == len(server.requests) == 8
    assert results["settings"]["prompt"]["option_order"] == "clockwise"


def test_own_prompt_is_short():
    page = (TUTORIALS / "own_prompt.md").read_text("utf-8")
    strategy, _ = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    assert len([line for line in strategy.splitlines() if line.strip()]) <= 30


@pytest.mark.long
def test_own_photos(run_tutorial):
    quick = ["--iterations", "150", "--threads", "1", "--optimiser.learning-rate", "0.003"]
    variables = run_tutorial("own_photos.md", {}, {"finetune-vqa": quick})
    assert variables["answer"] == "green"
    assert Path("why.png").is_file()
