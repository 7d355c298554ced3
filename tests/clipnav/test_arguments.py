import os
import subprocess
import sys
from pathlib import Path

import pytest

from clipnav.cli import COMMANDS, completion, expanded
from clipnav.storage.errors import UserError

FILE = """
dataset = "rxr"
vision = false
evaluation_splits = ["val_seen", "val_unseen"]
[optimiser]
learning_rate = 0.001
"""


def test_a_settings_file_in_toml_stands_for_its_flags(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(FILE)
    whole = ["--dataset", "rxr", "--no-vision", "--evaluation-splits", "val_seen", "val_unseen"]
    whole += ["--optimiser.learning-rate", "0.001"]
    for words in (["--config", str(file)], [f"--config={file}"]):
        assert expanded(["a", *words, "--seed", "1"]) == ["a", *whole, "--seed", "1"]
    given = ["--vision", "--optimiser.learning_rate=0.1", "--evaluation-splits", "test"]
    assert expanded([*given, "--config", str(file)]) == [*given, "--dataset", "rxr"]
    assert expanded(["--config", "run/config.json", "--config"]) == [
        *("--config", "run/config.json", "--config")
    ]


def test_a_settings_file_in_toml_gives_the_defaults_of_a_training(tmp_path, command):
    file = tmp_path / "mine.toml"
    file.write_text('dataset = "rxr"\nitertions = 5\n')
    done = command("train-agent", "--config", file)
    assert done.returncode == 2
    assert "--itertions" in done.stderr
    assert "--iterations" in done.stderr
    file.write_text("dataset = rxr\n")
    done = command("train-agent", "--config", file)
    assert done.returncode == 1
    assert f"{file}: not a valid TOML file" in done.stderr
    done = command("train-agent", "--config", tmp_path / "none.toml")
    assert "no such file or folder" in done.stderr


def test_addresses_of_runs_stand_for_their_folders(monkeypatch):
    monkeypatch.setattr("clipnav.cli.local_run", lambda address: Path("/cache") / address)
    assert expanded(["hf:a/b", "--start-from=hf:c/d@v1", "--name", "x=hf:no"]) == [
        *("/cache/hf:a/b", "--start-from=/cache/hf:c/d@v1", "--name", "x=hf:no")
    ]
    monkeypatch.undo()
    with pytest.raises(UserError, match="hf:a: not a repository; write OWNER/NAME"):
        expanded(["hf:a"])


@pytest.mark.skipif(sys.platform == "win32", reason="no bash")
def test_bash_completes_commands_and_flags(tmp_path):
    (tmp_path / "clipnav").write_text(f'#!/bin/sh\nexec {sys.executable} -m clipnav "$@"\n')
    (tmp_path / "clipnav").chmod(0o755)
    asked = "COMP_WORDS=(clipnav {}); COMP_CWORD={}; _clipnav; echo ${{COMPREPLY[@]}}"
    program = "\n".join(
        [
            completion(name for names in COMMANDS.values() for name in names),
            *(asked.format("evaluate-a", 1), asked.format("doctor --d", 2)),
            *(asked.format("finetune --h", 2), asked.format("doctor fold", 2)),
        ]
    )
    environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    words = ["bash", "--norc", "-c", program]
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        *("evaluate-agent evaluate-answers", "--data-dir", "--help --help-all", "")
    ]
